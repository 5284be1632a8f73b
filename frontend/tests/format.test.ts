import { describe, expect, it } from 'vitest'
import { duration, interval, number, quantity, showEnergiesIn, withUnit } from '../src/lib/format'
import texts from './units.json'

describe('numbers for people', () => {
  it('keeps three digits and takes a prefix that fits', () => {
    expect(withUnit(7200, 'J')).toBe('7,200 J')
    expect(withUnit(0.01234, 'W')).toBe('12.3 mW')
    expect(number(1234567)).toBe('1,234,567')
  })
  it('says nothing where nothing is known', () => {
    expect(number(null)).toBe('–')
    expect(withUnit(NaN, 'J')).toBe('–')
    expect(quantity(null)).toBe('–')
  })
  it('shows both ends of an interval in one unit', () => {
    expect(interval({ value: 4000, low: 3000, high: 7200, unit: 'J' })).toBe('3,000 – 7,200 J')
  })
  it('says long times in hours and short ones in fractions', () => {
    expect(duration(0.0123)).toBe('12.3 ms')
    expect(duration(3725)).toBe('1 h 2 min')
  })
  it('shows what the terminal shows, in every unit that may be set', () => {
    for (const [unit, rows] of Object.entries(texts as unknown as Record<string, [number, string][]>)) {
      const energy = !['W', 'g'].includes(unit)
      showEnergiesIn(energy ? unit : 'auto')
      for (const [value, text] of rows)
        expect(withUnit(value, energy ? 'J' : unit), `${value} in ${unit}`).toBe(text)
    }
    showEnergiesIn('auto')
  })
})

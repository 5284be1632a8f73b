import { describe, expect, it } from 'vitest'
import { duration, interval, number, quantity, withUnit } from '../src/lib/format'

describe('numbers for people', () => {
  it('keeps three digits and takes a prefix that fits', () => {
    expect(withUnit(7200, 'J')).toBe('2 Wh')
    expect(withUnit(0.01234, 'W')).toBe('12.3 mW')
    expect(number(1234567)).toBe('1,234,567')
  })
  it('says nothing where nothing is known', () => {
    expect(number(null)).toBe('–')
    expect(withUnit(NaN, 'J')).toBe('–')
    expect(quantity(null)).toBe('–')
  })
  it('shows both ends of an interval in one unit', () => {
    expect(interval({ value: 4000, low: 3000, high: 7200, unit: 'J' })).toBe('0.833 – 2 Wh')
  })
  it('says long times in hours and short ones in fractions', () => {
    expect(duration(0.0123)).toBe('12.3 ms')
    expect(duration(3725)).toBe('1 h 2 min')
  })
})

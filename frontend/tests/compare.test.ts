import { describe, expect, it } from 'vitest'
import type { Comparison } from '../src/lib/schema'
import { asked, chosenMeasure, drawn, gapWords, letter, most, percentWords } from '../src/views/compare/words'

const gap = { value: -40, low: -60, high: -20, percent: [-4, -6, -2] as [number, number, number], clear: true }

it('reads the address, each run once', () => {
  expect(asked(['a', 'b', 'a'], new URLSearchParams('base=b&repeats=1&only=cpu,dram'))).toEqual({ run: ['a', 'b'], baseline: 'b', repeats: true, only: ['cpu', 'dram'] })
  expect(asked([], new URLSearchParams())).toEqual({ run: [], baseline: undefined, repeats: false, only: [] })
})

it('has a letter for any number of entries', () => {
  expect([0, 25, 26].map(letter)).toEqual(['A', 'Z', 'A1'])
})

describe('differences in words', () => {
  it('have a sign and an interval', () => {
    expect(percentWords(gap)).toBe('−4 % (−6 to −2)')
    expect(gapWords(gap, 'J')).toBe('−40.0 J (−60.0 J to −20.0 J)')
    expect(gapWords({ ...gap, low: -40, high: -40 }, 's')).toBe('−40 s')
  })
  it('are nothing for the baseline', () => {
    expect(percentWords(null)).toBe('')
    expect(gapWords(null, 'J')).toBe('')
  })
})

it('offers a measure only where all have it', () => {
  const found = { measures: [{ id: 'energy_j', why: null }, { id: 'energy_j/samples', why: 'not in b' }, { id: 'duration_s', why: null }] } as Comparison
  expect(chosenMeasure(found, 'energy_j/samples')).toBe('energy_j')
  expect(chosenMeasure(found, 'duration_s')).toBe('duration_s')
})

it('scales bars by the largest upper end', () => {
  const entry = (high: number) => ({ values: { energy_j: { amount: { value: 1, low: 0, high, unit: 'J' } } } })
  expect(most([entry(3), entry(7)] as never, 'energy_j')).toBe(7)
  expect(most([{ values: {} }] as never, 'energy_j')).toBeNull()
})

it('draws measured and modelled as lines of their own', () => {
  const line = { run: 'a', name: 'a', measured_w: [1], modelled_w: [], measured_j: [2], modelled_j: [3] }
  expect(drawn([line], 'power')).toEqual([{ run: 'a', method: 'measured', values: [1] }])
  expect(drawn([line], 'energy').map((one) => one.method)).toEqual(['measured', 'modelled'])
})

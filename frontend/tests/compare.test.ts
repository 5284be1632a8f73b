import { describe, expect, it } from 'vitest'
import type { Comparison } from '../src/lib/schema'
import {
  asked,
  chosenMeasure,
  drawn,
  gapWords,
  letter,
  most,
  percentWords,
  restsOn,
} from '../src/views/compare/words'

const gap = {
  value: -40,
  low: -60,
  high: -20,
  percent: [-4, -6, -2] as [number, number, number],
  clear: true,
  common: [],
  rests_on: [],
  ratio: { value: 0.96, low: 0.94, high: 0.98, unit: '', source: '' },
}

it('reads the address, each run once', () => {
  expect(asked(['a', 'b', 'a'], new URLSearchParams('base=b&repeats=1&only=cpu,dram'))).toEqual({
    run: ['a', 'b'],
    baseline: 'b',
    repeats: true,
    only: ['cpu', 'dram'],
  })
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
  const found = {
    measures: [
      { id: 'energy_j', why: null },
      { id: 'energy_j/samples', why: 'not in b' },
      { id: 'duration_s', why: null },
    ],
  } as Comparison
  expect(chosenMeasure(found, 'energy_j/samples')).toBe('energy_j')
  expect(chosenMeasure(found, 'duration_s')).toBe('duration_s')
})

it('scales bars by the largest upper end', () => {
  const entry = (high: number) => ({
    values: { energy_j: { amount: { value: 1, low: 0, high, unit: 'J' } } },
  })
  expect(most([entry(3), entry(7)] as never, 'energy_j')).toBe(7)
  expect(most([{ values: {} }] as never, 'energy_j')).toBeNull()
})

it('draws what a comparison rests on around the baseline, never below zero', () => {
  const base = { value: 1000, low: 500, high: 1500, unit: 'J' }
  expect(restsOn(gap, base)).toEqual([940, 980])
  expect(restsOn({ ...gap, ratio: { ...gap.ratio, low: -0.2 } }, base)![0]).toBe(0)
  expect(restsOn(null, base)).toBeNull()
  expect(restsOn({ ...gap, ratio: null }, base)).toBeNull()
  expect(
    most(
      [{ values: { energy_j: { amount: { ...base, high: 970 }, difference: gap } } }] as never,
      'energy_j',
      base,
    ),
  ).toBe(980)
})

it('draws measured and modelled as lines of their own', () => {
  const line = { run: 'a', name: 'a', measured_w: [1], modelled_w: [], measured_j: [2], modelled_j: [3] }
  expect(drawn([line], 'power')).toEqual([{ run: 'a', method: 'measured', values: [1] }])
  expect(drawn([line], 'energy').map((one) => one.method)).toEqual(['measured', 'modelled'])
})

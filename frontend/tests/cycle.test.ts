import { describe, expect, it } from 'vitest'
import type { CycleAnswer, ModelOut } from '../src/lib/schema'
import { lines, nearest, rows, said } from '../src/views/cycle/words'

const amount = (value: number) => ({ value, low: value, high: value, unit: 'J', source: '' })
const model = (name: string, fixed: number, each: number, uses: number[]): ModelOut => ({
  name,
  base: null,
  quality: null,
  fixed: amount(fixed),
  per_use: amount(each),
  data_j: fixed / 4,
  training_j: (3 * fixed) / 4,
  value: uses.map((n) => fixed + n * each),
  low: uses.map((n) => fixed + n * each),
  high: uses.map((n) => fixed + n * each),
})
const uses = [1, 100, 10000]
const answer: CycleAnswer = {
  uses,
  models: [model('big', 1000, 1, uses), model('small', 10, 3, uses)],
  rivals: [[], ['big'], []],
  crossings: [],
  literature: [],
  notes: [],
}

describe('the full cycle', () => {
  it('sorts models by what they take at so many uses', () => {
    expect(rows(answer, 0).map((row) => row.model.name)).toEqual(['small', 'big'])
    expect(rows(answer, 2).map((row) => row.verdict)[0]).toBe('the cheapest')
    expect(rows(answer, 2)[0]?.model.name).toBe('big')
    expect(rows(answer, 1)[1]?.verdict).toContain('may be as cheap')
  })
  it('has shares that sum to one', () => {
    for (const row of rows(answer, 1))
      expect((row.data ?? 0) + (row.training ?? 0) + (row.inference ?? 0)).toBeCloseTo(1)
  })
  it('finds the nearest number of uses', () => {
    expect(nearest(uses, 90)).toBe(1)
    expect(nearest(uses, Number.NaN)).toBe(1)
    expect(nearest(uses, -4)).toBe(1)
    expect(nearest([], 5)).toBe(0)
  })
  it('says large numbers in words and drops empty lines', () => {
    expect(said(1.25e6)).toBe('1.25 million')
    expect(lines(' a \n\n b')).toEqual(['a', 'b'])
  })
})

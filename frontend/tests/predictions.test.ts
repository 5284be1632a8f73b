import { describe, expect, it } from 'vitest'
import type { Miss, Score } from '../src/lib/schema'
import { misses, seen, signed } from '../src/views/predictions/words'

function miss(run: string | null, error: number, id = 'p'): Miss {
  return {
    prediction_id: id,
    run_id: run,
    subject: 'train.py',
    predicted_j: 1 + error,
    low_j: 0,
    high_j: 2,
    actual_j: 1,
    error,
    held: true,
    share: 0.1,
  }
}

function score(...worst: Miss[]): Score {
  return {
    predictor: 'early',
    host: 'here',
    stage: 0.1,
    number: worst.length,
    runs: worst.length,
    waiting: 0,
    otherwise: 0,
    mape: null,
    bias: null,
    coverage: null,
    drift: null,
    worst,
  }
}

describe('misses', () => {
  it('takes of each run the worst, the largest first, whatever their sign', () => {
    const found = misses([score(miss('a', 0.1), miss('b', -0.5)), score(miss('a', 0.3), miss('c', 0.2))])
    expect(found.map((one) => [one.run_id, one.error])).toEqual([
      ['b', -0.5],
      ['a', 0.3],
      ['c', 0.2],
    ])
  })
  it('keeps predictions without a run apart', () => {
    expect(misses([score(miss(null, 0.1, 'p'), miss(null, 0.2, 'q'))])).toHaveLength(2)
    expect(misses([])).toEqual([])
  })
})

describe('words', () => {
  it('says how much was seen and what a bias is', () => {
    expect(seen(null)).toBe('before it')
    expect(seen(0.05)).toContain('5')
    expect(signed(0.1)).toContain('+')
    expect(signed(-0.1)).not.toContain('+')
    expect(signed(null)).toBe('–')
  })
})

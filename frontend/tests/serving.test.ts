import { describe, expect, it } from 'vitest'
import { byLoad, cheapest, loadOf } from '../src/views/serving/costs'
import type { Cell } from '../src/lib/schema'

function cell(label: string, rate: number, joules: [number, number, number], ttft: number): Cell {
  return {
    label,
    factors: { model: label[0]!, rate },
    trials: [],
    completed: 2,
    modelled: 1,
    command: '',
    metrics: {
      j_per_token: { value: joules[0], low: joules[1], high: joules[2], unit: 'J' },
      ttft_p95_s: { value: ttft, low: ttft, high: ttft, unit: 's' },
    },
  }
}
const cells = [
  cell('a1', 1, [0.5, 0.4, 0.6], 0.01),
  cell('a8', 8, [0.1, 0.08, 0.12], 0.2),
  cell('b8', 8, [0.11, 0.09, 0.13], 0.05),
]

describe('the cheapest configuration', () => {
  it('is named with those that it cannot be told from', () => {
    const found = cheapest(cells, 'j_per_token', [])!
    expect(found.cell.label).toBe('a8')
    expect(found.rivals.map((one) => one.label)).toEqual(['b8'])
  })
  it('keeps to the limits, and is nothing where none does', () => {
    expect(cheapest(cells, 'j_per_token', [{ metric: 'ttft_p95_s', max: 0.1 }])!.cell.label).toBe('b8')
    expect(cheapest(cells, 'j_per_token', [{ metric: 'ttft_p95_s', max: 0.001 }])).toBeNull()
  })
})

it('lines by load are one for each model', () => {
  expect(loadOf(cells)).toBe('rate')
  expect(byLoad(cells, 'rate', 'j_per_token').map((line) => [line.name, line.x])).toEqual([
    ['a', [1, 8]],
    ['b', [8]],
  ])
})

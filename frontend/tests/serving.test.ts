import { expect, it } from 'vitest'
import { byLoad, loadOf } from '../src/views/serving/costs'
import type { Cell } from '../src/lib/schema'

function cell(label: string, rate: number, joules: [number, number, number], ttft: number): Cell {
  return {
    label,
    factors: { model: label[0]!, rate },
    trials: [],
    completed: 2,
    modelled: 1,
    command: '',
    verdict: '',
    own: { j_per_token: { value: joules[0], low: joules[0], high: joules[0], unit: 'J' } },
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

it('lines by load are one for each model', () => {
  expect(loadOf(cells)).toBe('rate')
  expect(byLoad(cells, 'rate', 'j_per_token').map((line) => [line.name, line.x])).toEqual([
    ['a', [1, 8]],
    ['b', [8]],
  ])
})

it('a line has the bars of what its comparison rests on, else the whole interval', () => {
  const [a] = byLoad(cells, 'rate', 'j_per_token')
  expect(a!.own.map((q) => [q!.low, q!.high])).toEqual([
    [0.5, 0.5],
    [0.1, 0.1],
  ])
  expect(byLoad(cells, 'rate', 'ttft_p95_s')[0]!.own[0]!.value).toBe(0.01)
})

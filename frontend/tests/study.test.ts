import { curves } from '../src/views/study/options'
import { describe, expect, it } from 'vitest'
import { best, front, limitsFromText, limitsToText, lines, within } from '../src/views/study/cells'
import type { Cell } from '../src/lib/schema'

function cell(label: string, energy: number, accuracy: number | null, factors: Cell['factors'] = {}): Cell {
  const q = (value: number) => ({ value, low: value, high: value, unit: '' })
  return {
    label,
    verdict: '',
    own: {},
    factors,
    trials: [label],
    completed: 1,
    modelled: 0,
    command: '',
    metrics: { training_energy_j: q(energy), ...(accuracy === null ? {} : { accuracy: q(accuracy) }) },
  }
}

const cells = [
  cell('cheap', 1, 0.8),
  cell('good', 3, 0.95),
  cell('bad', 4, 0.7),
  cell('equal', 3, 0.95),
  cell('unknown', 0.5, null),
]

describe('the Pareto front', () => {
  it('holds what nothing beats, ties included, and leaves out what is not known', () => {
    expect(front(cells, 'training_energy_j', 'accuracy')).toEqual(new Set(['cheap', 'good', 'equal']))
  })
})

describe('limits', () => {
  it('leave out what is outside and what is not known', () => {
    const limits = [{ metric: 'accuracy', min: 0.75 }]
    expect(cells.filter((one) => within(one, limits)).map((one) => one.label)).toEqual([
      'cheap',
      'good',
      'equal',
    ])
    expect(best(cells, 'training_energy_j', limits)?.label).toBe('cheap')
    expect(best(cells, 'training_energy_j', [{ metric: 'accuracy', min: 0.99 }])).toBeNull()
  })
  it('come back from the address as they went in, and rubbish is left out', () => {
    const limits = [
      { metric: 'accuracy', min: 0.9 },
      { metric: 'duration_s', min: 1e-7, max: 60 },
    ]
    expect(limitsFromText(limitsToText(limits)!)).toEqual(limits)
    expect(limitsFromText('x;;<script>>1;a<b')).toEqual([])
    expect(limitsToText([])).toBeUndefined()
  })
})

describe('lines over a factor', () => {
  it('join cells that differ in that factor only, in its order', () => {
    const many = [
      cell('a', 1, 1, { model: 'A', batch: 64 }),
      cell('b', 1, 1, { model: 'A', batch: 8 }),
      cell('c', 1, 1, { model: 'B', batch: 8 }),
    ]
    const found = lines(many, 'batch')
    expect([...found.keys()]).toEqual(['A', 'B'])
    expect(found.get('A')!.map((one) => one.factors['batch'])).toEqual([8, 64])
  })
})

describe('axes and bars', () => {
  const token = (name: string) => name
  const point = (value: number, low: number, high: number) => ({ value, low, high, unit: 'J' })
  type Drawn = { type: string; data: number[][] }
  const curve = (y: ReturnType<typeof point>[]) => ({ name: 'a', x: [1, 12], y, hollow: false })

  it('a bar that begins at zero has an end on a logarithmic axis', () => {
    const y = [point(5, 0, 9), point(50, 20, 80)]
    const drawn = curves([curve(y)], { name: 'load', log: true }, { name: 'J', log: true }, token)
    const bars = (drawn['series'] as Drawn[]).find((one) => one.type === 'custom')!.data
    expect(bars.flat().every((x) => x > 0)).toBe(true)
    expect(bars[0]).toEqual([1, 1, 1, 5, 5, 9])
    const plain = curves([curve(y)], { name: 'load', log: false }, { name: 'J', log: false }, token)
    expect((plain['series'] as Drawn[]).find((one) => one.type === 'custom')!.data[0]![4]).toBe(0)
  })
  it('ticks of a factor stand at its levels, and the axis ends beside them', () => {
    const load = { name: 'load', log: true, ticks: [1, 12, 12] }
    const drawn = curves([curve([point(5, 4, 6), point(6, 5, 7)])], load, { name: 'J', log: false }, token)
    const across = drawn['xAxis'] as { axisLabel: { customValues: number[] }; min: number; max: number }
    expect(across.axisLabel.customValues).toEqual([1, 12])
    expect(across.max).toBeLessThan(20)
  })
  it('a share ends at all of it, in percent', () => {
    const up = { name: 'idle', log: false, share: true }
    const drawn = curves(
      [curve([point(0.99, 0.9, 1), point(0.5, 0.4, 0.6)])],
      { name: 'x', log: false },
      up,
      token,
    )
    const axis = drawn['yAxis'] as { max: number; axisLabel: { formatter: (x: number) => string } }
    expect([axis.max, axis.axisLabel.formatter(0.5)]).toEqual([1, '50 %'])
  })
})

import { describe, expect, it } from 'vitest'
import { flatten, joined, parentRow } from '../src/views/run/tree'
import type { PowerLine, SpanRow } from '../src/lib/schema'
import {
  drawn,
  momentAt,
  moved,
  parseWindow,
  seconds,
  stepped,
  total,
  within,
  zoomed,
} from '../src/views/run/window'
import { bar, sides } from '../src/views/run/budget'

const line = (
  component: string,
  mean_w: (number | null)[],
  method = 'counter',
  counted = true,
): PowerLine => ({
  name: component,
  component,
  methods: [method],
  channels: [component],
  counted,
  mean_w,
  low_w: mean_w,
  high_w: mean_w,
  holes: [],
})
const span = (row: number, children = 0): SpanRow => ({
  row,
  name: `s${row}`,
  depth: 0,
  start_s: 0,
  duration_s: 1,
  energy: null,
  counts: {},
  attrs: {},
  children,
  open: false,
})

describe('the window of a run', () => {
  it('stays inside the run', () => {
    expect(within([-5, 5], 20)).toEqual([0, 10])
    expect(within([15, 25], 20)).toEqual([10, 20])
    expect(within([0, 100], 20)).toEqual([0, 20])
    expect(moved([0, 10], -0.5, 20)).toEqual([0, 10])
    expect(moved([0, 10], 0.5, 20)).toEqual([5, 15])
  })
  it('zooms around the moment under the pointer', () => {
    expect(zoomed([0, 10], 0.5, 2, 10)).toEqual([1, 6])
    expect(momentAt(25, 100, [10, 20])).toBe(12.5)
    expect(momentAt(-3, 100, [10, 20])).toBe(10)
  })
  it('keys begin a selection in the middle, move it, and with shift its end', () => {
    const first = stepped(null, [0, 100], 1, false, 100)
    const whole = (window: [number, number]) => window.map((moment) => Math.round(moment * 1e6) / 1e6)
    expect(whole(first)).toEqual([45, 55])
    expect(whole(stepped(first, [0, 100], 1, false, 100))).toEqual([46, 56])
    expect(whole(stepped(first, [0, 100], -1, true, 100))).toEqual([45, 54])
    expect(stepped([45, 45.2], [0, 100], -1, true, 100)[1]).toBeGreaterThan(45)
  })
  it('is read from the address, or is none', () => {
    expect(parseWindow('1', '2.5')).toEqual([1, 2.5])
    for (const [a, b] of [
      ['2', '1'],
      ['x', '1'],
      [null, '1'],
      ['NaN', '3'],
    ] as const)
      expect(parseWindow(a, b)).toBeNull()
  })
  it('shows as many digits of a second as it needs', () => {
    expect(seconds(1.23456, 0.01)).toBe('1.2346')
    expect(seconds(1234.5678, 5000)).toBe('1235')
  })
})

describe('what is drawn', () => {
  it('stacks what is counted, the whole sum first, and marks what is modelled', () => {
    const found = drawn([line('cpu', [1, 2]), line('dram', [3, 4], 'modelled')], 'stacked')
    expect(found.map((one) => one.values)).toEqual([
      [4, 6],
      [1, 2],
    ])
    expect(found.map((one) => one.hatched)).toEqual([true, false])
  })
  it('has a total only where every part is known, and never counts what is beside it', () => {
    expect(total([line('cpu', [1, null]), line('dram', [3, 4])])).toEqual([4, null])
    const found = drawn([line('cpu', [1]), line('dram', [3]), line('host', [9], 'counter', false)], 'lines')
    expect(found.at(-1)).toMatchObject({ name: 'total', values: [4] })
    expect(found[2]!.name).toContain('not in the total')
  })
})

describe('the span tree', () => {
  it('shows what is unfolded, and a place for what was not loaded', () => {
    const pages = new Map([
      [-1, { total: 3, spans: [span(0, 2), span(3)] }],
      [0, { total: 2, spans: [span(1), span(2)] }],
    ])
    expect(flatten(pages, new Set()).map((row) => row.kind)).toEqual(['span', 'span', 'more'])
    const rows = flatten(pages, new Set([0]))
    expect(rows.map((row) => (row.kind === 'span' ? [row.span.row, row.level] : row.left))).toEqual([
      [0, 0],
      [1, 1],
      [2, 1],
      [3, 0],
      1,
    ])
    expect(parentRow(rows, 2)).toBe(0)
    expect(parentRow(rows, 0)).toBe(0)
  })
  it('joins pages in their order', () => {
    const first = joined(undefined, { total: 3, spans: [span(0)] })
    expect(joined(first, { total: 3, spans: [span(1), span(2)] }).spans.map((one) => one.row)).toEqual([
      0, 1, 2,
    ])
  })
})

it('draws uncertainty within its track and never below zero', () => {
  expect(bar({ value: 10, low: 5, high: 20, unit: 'J' })).toEqual({ from: 25, width: 75, at: 50 })
  expect(bar({ value: 1, low: -3, high: 4, unit: 'J' }).from).toBe(0)
  expect(bar({ value: 0, low: 0, high: 0, unit: 'J' }).at).toBe(0)
  const rows = [
    { kind: 'scale', words: '', below: 4, above: 2, remedy: '' },
    { kind: 'edges', words: '', below: 1, above: 1, remedy: '' },
  ]
  expect(sides(rows[0]!, rows)).toEqual({ below: 50, above: 25 })
  expect(sides(rows[1]!, rows)).toEqual({ below: 12.5, above: 12.5 })
})

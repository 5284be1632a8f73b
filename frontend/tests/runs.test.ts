import { describe, expect, it } from 'vitest'
import {
  choices,
  filterOf,
  fits,
  headlineOf,
  linesOf,
  methodOf,
  moment,
  parseTags,
  rowsOf,
  sorted,
  tagChange,
  typedTags,
  visible,
} from '../src/views/runs/rows'
import type { RunTable, Totals } from '../src/lib/schema'
import { bars, equivalent, periods } from '../src/views/runs/totals'

function columns(count: number): RunTable {
  const each = <T>(make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
  const ends = (make: (n: number) => number | null) => ({
    value: each(make),
    low: each(make),
    high: each(make),
  })
  return {
    stamp: '1',
    id: each((n) => `r${n}`),
    name: each((n) => (n % 2 ? 'train' : 'serve')),
    status: each((n) => (n === 3 ? 'running' : 'completed')),
    exit_code: each(() => 0),
    host: each((n) => `node${n % 3}`),
    parent: each(() => null),
    started_ms: each((n) => n * 1000),
    duration_s: each(() => 1),
    coverage: each(() => 1),
    tree: ends((n) => (n === 5 ? 0.5 : null)),
    energy: ends((n) => (n === 2 ? null : n)),
    measured: ends(() => null),
    modelled: ends((n) => n),
    carbon: ends(() => null),
    zone: each(() => null),
    methods: each((n) => (n % 2 ? ['counter', 'modelled'] : ['modelled'])),
    tags: each((n): Record<string, string> => (n % 2 ? { project: 'vision', seed: String(n) } : {})),
    note: each((n) => (n === 1 ? 'Keep Me' : '')),
    metrics: each((n): Record<string, number> => (n % 2 ? { loss: 10 - n } : {})),
    course_w: each((n) => (n ? [1, null, 2, 4] : [])),
  }
}
const ids = (rows: { id: string }[]) => rows.map((row) => row.id)
const found = (query: string, count = 6) =>
  ids(rowsOf(columns(count)).filter((row) => fits(row, filterOf(new URLSearchParams(query), 5000))))

describe('filters', () => {
  it('search in names, ids, hosts, tags and notes, all words, in any case', () => {
    expect(found('q=TRAIN')).toEqual(['r1', 'r3', 'r5'])
    expect(found('q=keep me')).toEqual(['r1'])
    expect(found('q=train node2')).toEqual(['r5'])
    expect(found('q=seed%3D3')).toEqual(['r3'])
  })
  it('take status, host, project, tag, method and time', () => {
    expect(found('status=running')).toEqual(['r3'])
    expect(found('host=node0')).toEqual(['r0', 'r3'])
    expect(found('project=vision')).toEqual(['r1', 'r3', 'r5'])
    expect(found('tag=seed')).toEqual(['r1', 'r3', 'r5'])
    expect(found('tag=seed=5')).toEqual(['r5'])
    expect(found('method=both')).toEqual(['r1', 'r3', 'r5'])
    expect(found('method=modelled')).toEqual(['r0', 'r2', 'r4'])
    expect(found('until=1969-01-01')).toEqual([])
  })
  it('know ages and days, and take nonsense for nothing', () => {
    expect(moment('1h', 3.6e6, -1)).toBe(0)
    expect(moment('2026-03-01', 0, -1)).toBe(new Date(2026, 2, 1).getTime())
    expect(moment('2026-03-01', 0, -1, 1)).toBe(new Date(2026, 2, 2).getTime())
    expect(moment('yesterday', 0, -1)).toBe(-1)
  })
  it('go through ten thousand runs without losing any', () => {
    const rows = rowsOf(columns(10_000))
    const filter = filterOf(new URLSearchParams('q=vision node1&method=both'), 0)
    expect(rows.filter((row) => fits(row, filter)).length).toBe(1667)
  })
})

describe('order', () => {
  it('has running runs first and what is not known last', () => {
    expect(ids(sorted(rowsOf(columns(5)), 'energy', true))).toEqual(['r3', 'r4', 'r1', 'r0', 'r2'])
    expect(ids(sorted(rowsOf(columns(5)), 'energy', false))).toEqual(['r3', 'r0', 'r1', 'r4', 'r2'])
    expect(ids(sorted(rowsOf(columns(4)), 'started', true))).toEqual(['r3', 'r2', 'r1', 'r0'])
  })
  it('groups, and hides the runs of closed groups', () => {
    const rows = rowsOf(columns(4))
    const lines = linesOf(rows, 'project', new Set(['vision']))
    expect(lines.map((line) => (line.kind === 'group' ? line.key : line.row.id))).toEqual([
      null,
      'r0',
      'r2',
      'vision',
    ])
    expect(linesOf(rows, '', new Set()).length).toBe(4)
    expect(linesOf(rows, 'tag:seed', new Set()).filter((line) => line.kind === 'group').length).toBe(3)
  })
  it('draws only what is in view', () => {
    expect(visible(10_000, 44 * 100, 440)).toEqual([92, 118])
    expect(visible(3, 0, 440)).toEqual([0, 3])
    expect(visible(0, 900, 440)).toEqual([0, 0])
  })
})

describe('tags', () => {
  it('are typed as words, with quotes around spaces', () => {
    expect(parseTags('project=vision best "why=two words"')).toEqual({
      project: 'vision',
      best: '',
      why: 'two words',
    })
    expect(typedTags({ project: 'vision', best: '', why: 'two words' })).toBe(
      'project=vision best "why=two words"',
    )
    expect(() => parseTags('=x')).toThrow('key')
  })
  it('send what changed', () => {
    expect(tagChange({ a: '1', b: '' }, { a: '2', c: '' })).toEqual({
      tags: { a: '2', c: '' },
      remove_tags: ['b'],
    })
  })
})

it('offers the most frequent choices first', () => {
  expect(choices(['b', 'a', 'b', undefined, ''])).toEqual(['b', 'a'])
})

it('tells methods apart', () => {
  expect(rowsOf(columns(2)).map(methodOf)).toEqual(['modelled', 'both'])
})

describe('totals', () => {
  const q = (value: number, unit = 'J') => ({ value, low: value / 2, high: value * 2, unit })
  const sum = {
    runs: 1,
    unknown: 0,
    duration_s: 1,
    energy: q(10),
    measured: q(10),
    modelled: null,
    carbon: q(3, 'g'),
    no_zone: 0,
    overlapping: 0,
  }
  const totals: Totals = {
    all: sum,
    rules: [],
    groups: ['a', null, 'c'].map((key) => ({ key, sum })),
    slices: [
      { key: 'a', start: '2026-01-30', energy: q(4), measured: q(3), modelled: q(1), carbon: null },
      { key: 'c', start: '2026-02-02', energy: q(2), measured: q(2), modelled: null, carbon: q(1, 'g') },
      { key: null, start: '2026-02-02', energy: q(5), measured: q(5), modelled: null, carbon: null },
    ],
  }
  it('have every period between the first and the last', () => {
    expect(periods(['2026-01-30', '2026-02-02'], 'day')).toEqual([
      '2026-01-30',
      '2026-01-31',
      '2026-02-01',
      '2026-02-02',
    ])
    expect(periods(['2025-11-01', '2026-01-01'], 'month')).toEqual(['2025-11-01', '2025-12-01', '2026-01-01'])
    expect(periods([], 'day')).toEqual([])
  })
  it('keep measured and modelled apart, and small groups together', () => {
    const axis = ['2026-01-30', '2026-02-02']
    expect(bars(totals, axis, 'energy', 1)).toEqual([
      { group: 'a', part: 'measured', values: [3, null] },
      { group: 'a', part: 'modelled', values: [1, null] },
      { group: 'others', part: 'measured', values: [null, 7] },
    ])
    expect(bars(totals, axis, 'carbon')).toEqual([{ group: 'c', part: 'carbon', values: [null, 1] }])
  })
  it('become everyday things with their interval, or nothing where carbon is not known', () => {
    const one = { name: 'x', of: 'J' as const, amount: 5, source: '', year: 2022, url: '' }
    expect(equivalent(sum, one)).toEqual({ value: 2, low: 1, high: 4, unit: '' })
    expect(equivalent({ ...sum, carbon: null }, { ...one, of: 'g' })).toBeNull()
  })
})

it("is known and sorted by the process tree's energy where other work kept the machine busy", () => {
  const rows = rowsOf(columns(6))
  expect(rows.map((row) => headlineOf(row)?.value ?? null)).toEqual([0, 1, null, 3, 4, 0.5])
  expect(ids(sorted(rows, 'energy', true))).toEqual(['r3', 'r4', 'r1', 'r5', 'r0', 'r2'])
})

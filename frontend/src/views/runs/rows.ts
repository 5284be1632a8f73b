// The runs as rows: from columns, filtered, sorted and grouped.
// Ten thousand of them on every key stroke, so nothing is lazy.
import type { Quantity } from '../../lib/api'
import type { Ends, RunTable } from '../../lib/schema'

export interface Row {
  id: string
  name: string
  status: string
  exitCode: number | null
  host: string
  started: number
  duration: number | null
  coverage: number | null
  tree: Quantity | null
  energy: Quantity | null
  measured: Quantity | null
  modelled: Quantity | null
  carbon: Quantity | null
  zone: string | null
  methods: string[]
  tags: Record<string, string>
  note: string
  metrics: Record<string, number>
  course: (number | null)[]
  /** What the search looks into. */
  text: string
}

export interface Filter {
  words: string[]
  status: string
  host: string
  project: string
  tag: string
  method: string
  since: number
  until: number
}

export type SortKey =
  'started' | 'name' | 'status' | 'duration' | 'energy' | 'carbon' | 'host' | `metric:${string}`
export const SORTS: SortKey[] = ['started', 'name', 'status', 'duration', 'energy', 'carbon', 'host']
export type Line =
  { kind: 'group'; key: string | null; rows: Row[]; open: boolean } | { kind: 'run'; row: Row }

/** Height of every line of the table, in pixels. */
export const LINE = 44

export function rowsOf(columns: RunTable): Row[] {
  return columns.id.map((id, n) => {
    const row: Row = {
      id,
      name: columns.name[n]!,
      status: columns.status[n]!,
      exitCode: columns.exit_code[n] ?? null,
      host: columns.host[n]!,
      started: columns.started_ms[n]!,
      duration: columns.duration_s[n] ?? null,
      coverage: columns.coverage[n] ?? null,
      tree: at(columns.tree, n, 'J'),
      energy: at(columns.energy, n, 'J'),
      measured: at(columns.measured, n, 'J'),
      modelled: at(columns.modelled, n, 'J'),
      carbon: at(columns.carbon, n, 'g'),
      zone: columns.zone[n] ?? null,
      methods: columns.methods[n]!,
      tags: columns.tags[n]!,
      note: columns.note[n]!,
      metrics: columns.metrics[n] ?? {},
      course: columns.course_w[n] ?? [],
      text: '',
    }
    row.text = haystack(row)
    return row
  })
}

export function haystack(row: Row): string {
  return [row.name, row.id, row.host, tagText(row.tags), row.note].join('\n').toLowerCase()
}

function at(ends: Ends, n: number, unit: string): Quantity | null {
  const [value, low, high] = [ends.value[n], ends.low[n], ends.high[n]]
  if (typeof value !== 'number' || typeof low !== 'number' || typeof high !== 'number') return null
  return { value, low, high, unit }
}

/** What the address asks for. `now`: for ages such as 7d. */
export function filterOf(query: URLSearchParams, now: number): Filter {
  return {
    words: (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean),
    status: query.get('status') ?? '',
    host: query.get('host') ?? '',
    project: query.get('project') ?? '',
    tag: query.get('tag') ?? '',
    method: query.get('method') ?? '',
    since: moment(query.get('since') ?? '', now, -Infinity),
    until: moment(query.get('until') ?? '', now, Infinity, 1),
  }
}

const UNITS: Record<string, number> = { h: 3.6e6, d: 8.64e7, w: 6.048e8 }

/** An age (`7d`), or a day (`2026-03-01`, local; `days` later for an end that is to be included). */
export function moment(text: string, now: number, otherwise: number, days = 0): number {
  const age = /^(\d{1,4})([hdw])$/.exec(text)
  if (age) return now - Number(age[1]) * UNITS[age[2]!]!
  const day = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (!day) return otherwise
  const found = new Date(Number(day[1]), Number(day[2]) - 1, Number(day[3]) + days).getTime()
  return Number.isNaN(found) ? otherwise : found
}

export function fits(row: Row, filter: Filter): boolean {
  if (filter.status && row.status !== filter.status) return false
  if (filter.host && row.host !== filter.host) return false
  if (filter.project && row.tags['project'] !== filter.project) return false
  if (filter.tag && !hasTag(row, filter.tag)) return false
  if (filter.method && methodOf(row) !== filter.method) return false
  if (row.started < filter.since || row.started >= filter.until) return false
  return filter.words.every((word) => row.text.includes(word))
}

function hasTag(row: Row, wanted: string): boolean {
  const at = wanted.indexOf('=')
  if (at < 0) return wanted in row.tags
  return row.tags[wanted.slice(0, at)] === wanted.slice(at + 1)
}

/** `measured`, `modelled`, `both`, or `none` where no joule is known. */
export function methodOf(row: Row): 'measured' | 'modelled' | 'both' | 'none' {
  const modelled = row.methods.includes('modelled')
  const measured = row.methods.some((method) => method !== 'modelled')
  return measured ? (modelled ? 'both' : 'measured') : modelled ? 'modelled' : 'none'
}

/** The energy that a run is known by: the process tree's where other work kept the machine busy. */
export function headlineOf(row: Row): Quantity | null {
  return row.tree ?? row.energy
}

export function sorted(rows: Row[], key: SortKey, descending: boolean): Row[] {
  const sign = descending ? -1 : 1
  const running = (row: Row) => (row.status === 'running' ? 0 : 1)
  const number = (row: Row): number | null =>
    key === 'started'
      ? row.started
      : key === 'duration'
        ? row.duration
        : key === 'energy'
          ? (headlineOf(row)?.value ?? null)
          : key === 'carbon'
            ? (row.carbon?.value ?? null)
            : key.startsWith('metric:')
              ? (row.metrics[key.slice(7)] ?? null)
              : null
  const text = key === 'name' || key === 'status' || key === 'host'
  return [...rows].sort((a, b) => {
    const live = running(a) - running(b)
    if (live) return live
    if (text) return sign * (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) || b.started - a.started
    const [x, y] = [number(a), number(b)]
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1 // what is not known comes last, either way
    return sign * (x - y) || (a.id < b.id ? -1 : 1)
  })
}

/** The group of a run, as the server has it in its totals: null for none. */
export function groupKey(row: Row, by: string): string | null {
  if (by === 'host') return row.host || null
  if (by === 'name') return row.name
  if (by === 'day') return dayOf(row.started)
  return row.tags[by.replace(/^tag:/, '')] ?? null
}

export function dayOf(ms: number): string {
  const day = new Date(ms)
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`
}

function two(number: number): string {
  return String(number).padStart(2, '0')
}

/** Lines of the table: the runs, or groups (in the order of their first run) with their runs under them. */
export function linesOf(rows: Row[], by: string, closed: ReadonlySet<string>): Line[] {
  if (!by) return rows.map((row) => ({ kind: 'run', row }))
  const groups = new Map<string | null, Row[]>()
  for (const row of rows) {
    const key = groupKey(row, by)
    const group = groups.get(key)
    if (group) group.push(row)
    else groups.set(key, [row])
  }
  const lines: Line[] = []
  for (const [key, group] of groups) {
    const open = !closed.has(key ?? '')
    lines.push({ kind: 'group', key, rows: group, open })
    if (open) for (const row of group) lines.push({ kind: 'run', row })
  }
  return lines
}

/** Which lines are to be drawn: those in view and some more on both sides. */
export function visible(count: number, top: number, height: number, extra = 8): [number, number] {
  const first = Math.max(0, Math.floor(top / LINE) - extra)
  return [Math.min(first, count), Math.min(count, Math.ceil((top + height) / LINE) + extra)]
}

export function tagText(tags: Record<string, string>): string {
  return Object.entries(tags)
    .map(([key, value]) => (value ? `${key}=${value}` : key))
    .join(' ')
}

/** `project=vision "note=two words"` as tags. Throws an Error that says what is wrong. */
export function parseTags(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const match of text.matchAll(/"([^"]*)"|(\S+)/g)) {
    const word = match[1] ?? match[2]!
    const at = word.indexOf('=')
    const key = at < 0 ? word : word.slice(0, at)
    if (!key) throw new Error(`${word} has no key before its =`)
    found[key] = at < 0 ? '' : word.slice(at + 1)
  }
  return found
}

/** Tags as they are typed: words with a space in quotes. */
export function typedTags(tags: Record<string, string>): string {
  return Object.entries(tags)
    .map(([key, value]) => (value ? `${key}=${value}` : key))
    .map((word) => (/\s/.test(word) ? `"${word}"` : word))
    .join(' ')
}

/** What to send so that a run that has `before` has `after`. */
export function tagChange(
  before: Record<string, string>,
  after: Record<string, string>,
): { tags: Record<string, string>; remove_tags: string[] } {
  return {
    tags: Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value)),
    remove_tags: Object.keys(before).filter((key) => !(key in after)),
  }
}

/** The different values of something, the most frequent first. */
export function choices(values: Iterable<string | undefined>, most = 200): string[] {
  const counts = new Map<string, number>()
  for (const value of values) if (value) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, most)
    .map(([value]) => value)
}

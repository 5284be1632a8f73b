// Which columns the table of runs has: those of every run, metrics (`metric:loss`) and tags (`tag:model`).
import type { Row, SortKey } from './rows'

export interface Column {
  key: string
  label: string
  /** In rem. */
  width: number
  number?: boolean
  sort?: SortKey
}

/** In the order of the table; the first is always there. */
export const FIXED: Column[] = [
  { key: 'name', label: 'Run', width: 14, sort: 'name' },
  { key: 'status', label: 'Status', width: 6.4, sort: 'status' },
  { key: 'started', label: 'Started', width: 10.6, sort: 'started' },
  { key: 'duration', label: 'Time', width: 5.4, number: true, sort: 'duration' },
  { key: 'energy', label: 'Energy', width: 8.6, number: true, sort: 'energy' },
  { key: 'course', label: 'Power', width: 6.8 },
  { key: 'how', label: 'Joules are', width: 6.4 },
  { key: 'carbon', label: 'CO₂e', width: 5.4, number: true, sort: 'carbon' },
  { key: 'host', label: 'Machine', width: 5, sort: 'host' },
  { key: 'tags', label: 'Tags', width: 9.4 },
  { key: 'note', label: 'Note', width: 7 },
]
const PHONE = ['name', 'energy', 'carbon']
const MOST = 40

/** What there is to choose from: metrics and tags of these runs, the most frequent first. */
export function possible(rows: Row[]): Column[] {
  const counts = new Map<string, number>()
  for (const row of rows) {
    for (const name of Object.keys(row.metrics)) count(counts, `metric:${name}`)
    for (const key of Object.keys(row.tags)) count(counts, `tag:${key}`)
  }
  const keys = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, MOST)
  return [...FIXED, ...keys.map(([key]) => free(key))]
}

function count(counts: Map<string, number>, key: string) {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function free(key: string): Column {
  const name = key.slice(key.indexOf(':') + 1)
  return key.startsWith('metric:')
    ? { key, label: name, width: 6.5, number: true, sort: key as SortKey }
    : { key, label: name, width: 8 }
}

/** The columns that the address asks for; without a word of it all that every run has. On a phone those that fit. */
export function chosen(asked: string | null, narrow = false): Column[] {
  if (asked === null) return FIXED.filter(({ key }) => !narrow || PHONE.includes(key))
  const keys = new Set(['name', ...asked.split(',').filter(Boolean).map(decoded)])
  const others = [...keys].filter((key) => /^(metric|tag):./.test(key))
  return [...FIXED.filter(({ key }) => keys.has(key)), ...others.map(free)]
}

/** The same for the address: null where they are those of every run. */
export function asWord(keys: string[]): string | undefined {
  const same = keys.length === FIXED.length && FIXED.every(({ key }) => keys.includes(key))
  return same ? undefined : keys.map((key) => encodeURIComponent(key)).join(',')
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word)
  } catch {
    return word
  }
}

/** Power over time as the points of a line in a box, in pieces where nothing is known. */
export function courseLines(course: (number | null)[], width: number, height: number): string[] {
  const top = Math.max(...course.map((value) => value ?? 0))
  if (!(top > 0)) return []
  const pieces: string[][] = [[]]
  course.forEach((value, n) => {
    if (value === null) pieces.push([])
    else
      pieces
        .at(-1)!
        .push(`${(n / Math.max(1, course.length - 1)) * width},${height - (value / top) * (height - 2) - 1}`)
  })
  return pieces.filter((piece) => piece.length > 1).map((piece) => piece.join(' '))
}

// Sums over runs as the server makes them, in the shape that charts and tables take.
import type { Quantity } from '../../lib/api'
import type { Equivalent, Sum, Totals } from '../../lib/schema'

export type Shown = 'energy' | 'carbon'

/**
 * Periods from the first to the last with nothing left out, so that empty ones are seen as empty.
 * At most `most`, the last.
 */
export function periods(starts: string[], period: string, most = 400): string[] {
  const known = [...new Set(starts)].sort()
  if (!known.length) return []
  const found: string[] = []
  const last = known[known.length - 1]!
  for (let day = known[0]!; day <= last && found.length < 5000; day = next(day, period)) found.push(day)
  return found.slice(-most)
}

function next(day: string, period: string): string {
  const [year, month, date] = day.split('-').map(Number) as [number, number, number]
  const then =
    period === 'month'
      ? new Date(Date.UTC(year, month, 1))
      : new Date(Date.UTC(year, month - 1, date + (period === 'week' ? 7 : 1)))
  return then.toISOString().slice(0, 10)
}

/** Bars by group: the largest groups each for itself, the others as one. Measured and modelled apart for energies. */
export interface Bar {
  group: string
  part: 'measured' | 'modelled' | 'carbon'
  values: (number | null)[]
}
export function bars(totals: Totals, axis: string[], shown: Shown, most = 6): Bar[] {
  const keys = totals.groups.map((group) => group.key)
  const own = new Set(keys.slice(0, most))
  const name = (key: string | null) => (own.has(key) ? (key ?? '(none)') : 'others')
  const index = new Map(axis.map((day, n) => [day, n]))
  const found = new Map<string, Bar>()
  for (const slice of totals.slices) {
    const at = index.get(slice.start)
    if (at === undefined) continue
    for (const part of shown === 'carbon' ? (['carbon'] as const) : (['measured', 'modelled'] as const)) {
      const quantity = slice[part]
      if (!quantity) continue
      const id = `${name(slice.key)}\n${part}`
      const bar = found.get(id) ?? { group: name(slice.key), part, values: axis.map(() => null) }
      bar.values[at] = (bar.values[at] ?? 0) + quantity.value
      found.set(id, bar)
    }
  }
  const order = [...keys.slice(0, most).map((key) => key ?? '(none)'), 'others']
  return [...found.values()].sort(
    (a, b) => order.indexOf(a.group) - order.indexOf(b.group) || (a.part < b.part ? -1 : 1),
  )
}

/** How many of an everyday thing a sum is, with its interval; null where the sum is not known. */
export function equivalent(sum: Sum, one: Equivalent): Quantity | null {
  const base = one.of === 'J' ? sum.energy : sum.carbon
  if (!base) return null
  return {
    value: base.value / one.amount,
    low: base.low / one.amount,
    high: base.high / one.amount,
    unit: '',
  }
}

/** The period that shows runs that began then (seconds since 1970) in some dozens of bars. */
export function fitting(began: number[]): 'day' | 'week' | 'month' {
  let [first, last] = [Infinity, -Infinity]
  for (const at of began) [first, last] = [Math.min(first, at), Math.max(last, at)]
  const days = (last - first) / 86_400
  return days > 500 ? 'month' : days > 70 ? 'week' : 'day'
}

/** Joules of all groups by period, nothing left out between the first and the last. */
export function columns(
  totals: Totals,
  period: string,
): { start: string; measured: number; modelled: number }[] {
  const axis = periods(
    totals.slices.map((slice) => slice.start),
    period,
    120,
  )
  const found = new Map(axis.map((start) => [start, { start, measured: 0, modelled: 0 }]))
  for (const slice of totals.slices) {
    const column = found.get(slice.start)
    if (!column) continue
    column.measured += slice.measured?.value ?? 0
    column.modelled += slice.modelled?.value ?? 0
  }
  return [...found.values()]
}

// Where bars of uncertainty begin and end, in percent of their track: none begins below zero joules.
import type { Quantity } from '../../lib/api'
import type { ErrorRow } from '../../lib/schema'

/** A quantity on a scale from 0 to its upper end. */
export function bar(q: Quantity): { from: number; width: number; at: number } {
  const share = (value: number) => (q.high > 0 ? Math.min(100, Math.max(0, (value / q.high) * 100)) : 0)
  const from = share(q.low)
  return { from, width: Math.max(0.5, 100 - from), at: share(q.value) }
}

/** An error on a scale whose middle is the value: its two sides in percent of the half that the largest error fills. */
export function sides(row: ErrorRow, rows: readonly ErrorRow[]): { below: number; above: number } {
  const most = Math.max(...rows.flatMap((one) => [one.below, one.above]))
  return most > 0
    ? { below: (row.below / most) * 50, above: (row.above / most) * 50 }
    : { below: 0, above: 0 }
}

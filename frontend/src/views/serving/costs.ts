// Which configuration is cheapest within latency limits, and how sure that is.
import type { Quantity } from '../../lib/api'
import { lines, value, within, type Limit } from '../study/cells'
import type { Cell } from '../../lib/schema'

export const LOADS = { rate: 'requests/s offered', concurrency: 'requests at a time' } as const
export type Load = keyof typeof LOADS

/** The load that was varied most, or null. */
export function loadOf(cells: readonly Cell[]): Load | null {
  const count = (name: Load) =>
    new Set(cells.map((cell) => cell.factors[name]).filter((x) => typeof x === 'number')).size
  const [a, b] = [count('rate'), count('concurrency')]
  return a === 0 && b === 0 ? null : a >= b ? 'rate' : 'concurrency'
}

export interface Cheapest {
  cell: Cell
  cost: Quantity
  /** Others within the limits whose intervals reach below this one's upper end: the choice is not sure among them. */
  rivals: Cell[]
}

/** The cheapest per `metric` of those within all limits; null where none is. */
export function cheapest(cells: readonly Cell[], metric: string, limits: readonly Limit[]): Cheapest | null {
  const inside = cells.filter((cell) => value(cell, metric) !== null && within(cell, limits))
  if (!inside.length) return null
  const cell = inside.reduce((a, b) => (value(b, metric)! < value(a, metric)! ? b : a))
  const cost = cell.metrics[metric]!
  return { cell, cost, rivals: inside.filter((one) => one !== cell && one.metrics[metric]!.low < cost.high) }
}

/** One line for each model (and what else differs) over the load; points without a number are left out. */
export function byLoad(
  cells: readonly Cell[],
  load: Load,
  metric: string,
): { name: string; x: number[]; y: (Quantity | null)[]; hollow: boolean }[] {
  const known = cells.filter((cell) => typeof cell.factors[load] === 'number' && cell.metrics[metric])
  return [...lines(known, load)].map(([name, own]) => ({
    name,
    x: own.map((cell) => Number(cell.factors[load])),
    y: own.map((cell) => cell.metrics[metric] ?? null),
    hollow: own.some((cell) => (cell.modelled ?? 0) > 0.5),
  }))
}

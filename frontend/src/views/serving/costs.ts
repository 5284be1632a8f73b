// Costs over the load. Which setting is the cheapest, and how sure that is, the server says.
import type { Quantity } from '../../lib/api'
import { lines } from '../study/cells'
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

/** One line for each model (and what else differs) over the load; points without a number are left out. */
export function byLoad(
  cells: readonly Cell[],
  load: Load,
  metric: string,
): { name: string; x: number[]; y: (Quantity | null)[]; own: (Quantity | null)[]; hollow: boolean }[] {
  const known = cells.filter((cell) => typeof cell.factors[load] === 'number' && cell.metrics[metric])
  return [...lines(known, load)].map(([name, own]) => ({
    name,
    x: own.map((cell) => Number(cell.factors[load])),
    y: own.map((cell) => cell.metrics[metric] ?? null),
    own: own.map((cell) => cell.own[metric] ?? cell.metrics[metric] ?? null),
    hollow: own.some((cell) => (cell.modelled ?? 0) > 0.5),
  }))
}

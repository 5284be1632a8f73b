// Which cells are inside the limits, which are on the Pareto front, and how metrics are called.
import type { Cell, StudyMetric } from '../../lib/schema'

export type Level = Cell['factors'][string]

/** A limit on a metric: at most, at least, or both. */
export interface Limit {
  metric: string
  min?: number
  max?: number
}

/** Metrics of which more is better; of all others less is. */
const MORE = [
  'accuracy',
  'f1',
  'macro_f1',
  'auc',
  'precision',
  'recall',
  'kappa',
  'mcc',
  'r2',
  'score',
  'quality',
  'goodput',
]

export function moreIsBetter(metric: string): boolean {
  return (
    MORE.includes(metric) ||
    metric.endsWith('_per_s') ||
    metric.endsWith('efficiency') ||
    metric === 'work_done'
  )
}

export function value(cell: Cell, metric: string): number | null {
  return cell.metrics[metric]?.value ?? null
}

/** Whether all limits hold; a cell that lacks a limited metric is not known to hold them. */
export function within(cell: Cell, limits: readonly Limit[]): boolean {
  return limits.every((limit) => {
    const x = value(cell, limit.metric)
    if (limit.min === undefined && limit.max === undefined) return true
    return x !== null && x >= (limit.min ?? -Infinity) && x <= (limit.max ?? Infinity)
  })
}

/** The labels of the cells that no other one beats in both metrics. */
export function front(cells: readonly Cell[], x: string, y: string): Set<string> {
  const signs = [moreIsBetter(x) ? -1 : 1, moreIsBetter(y) ? -1 : 1] as const
  const points = cells.flatMap((cell) => {
    const [a, b] = [value(cell, x), value(cell, y)]
    return a === null || b === null ? [] : [{ label: cell.label, a: a * signs[0], b: b * signs[1] }]
  })
  const beaten = (p: (typeof points)[0]) =>
    points.some((q) => q.a <= p.a && q.b <= p.b && (q.a < p.a || q.b < p.b))
  return new Set(points.filter((p) => !beaten(p)).map((p) => p.label))
}

/** The cell inside the limits that is best in a metric, or null. */
export function best(cells: readonly Cell[], metric: string, limits: readonly Limit[]): Cell | null {
  const sign = moreIsBetter(metric) ? -1 : 1
  const inside = cells.filter((cell) => within(cell, limits) && value(cell, metric) !== null)
  return inside.reduce<Cell | null>(
    (found, cell) =>
      found === null || sign * value(cell, metric)! < sign * value(found, metric)! ? cell : found,
    null,
  )
}

/** "r" and the others that a reader sees: words instead of underscores, the unit behind. */
export function title(metric: StudyMetric | undefined, name = metric?.name ?? ''): string {
  const words =
    NAMES[name] ??
    name
      .replace(/_per_s$/, '/s')
      .replace(/_s$/, '')
      .replace(/_p(\d+)$/, ' p$1')
      .replaceAll('_', ' ')
  return metric?.unit ? `${words} (${metric.unit})` : words
}

const NAMES: Record<string, string> = {
  training_energy_j: 'training energy',
  inference_energy_j: 'inference energy',
  training_energy_wh: 'training energy',
  inference_energy_wh: 'inference energy',
  total_energy: 'total energy',
  macs: 'MACs',
  macs_param: 'MACs per parameter',
  duration_s: 'duration',
  j_per_token: 'energy per output token',
  j_per_request: 'energy per request',
  idle_share: 'idle share of the energy',
  j_per_correct: 'energy per correct answer',
  serving_w: 'power while serving',
  in_flight: 'requests in flight',
}

export function isNumeric(levels: readonly Level[]): boolean {
  return levels.length > 1 && levels.every((level) => typeof level === 'number')
}

export function levelText(level: Level | undefined): string {
  return level === null || level === undefined
    ? '–'
    : level === true
      ? 'yes'
      : level === false
        ? 'no'
        : String(level)
}

/** Cells that differ in one factor only, by their other levels; each list in the order of that factor. */
export function lines(cells: readonly Cell[], factor: string): Map<string, Cell[]> {
  const found = new Map<string, Cell[]>()
  for (const cell of cells) {
    const others = Object.entries(cell.factors).filter(([name]) => name !== factor)
    const key =
      others
        .map(([name, level]) =>
          others.length > 1 && name !== 'model' ? `${name} ${levelText(level)}` : levelText(level),
        )
        .join(', ') || 'all'
    found.set(key, [...(found.get(key) ?? []), cell])
  }
  for (const own of found.values()) own.sort((a, b) => Number(a.factors[factor]) - Number(b.factors[factor]))
  return found
}

/** Limits as one word of the address: `accuracy>0.9;duration_s<60`. */
export function limitsToText(limits: readonly Limit[]): string | undefined {
  const words = limits.flatMap((l) => [
    ...(l.min === undefined ? [] : [`${l.metric}>${l.min}`]),
    ...(l.max === undefined ? [] : [`${l.metric}<${l.max}`]),
  ])
  return words.length ? words.join(';') : undefined
}

export function limitsFromText(text: string | null): Limit[] {
  const found = new Map<string, Limit>()
  for (const word of (text ?? '').split(';')) {
    const parts = /^([\w.-]+)([<>])(-?[\d.]+(?:e[+-]?\d+)?)$/.exec(word)
    if (!parts) continue
    const [, metric, sign, number] = parts as unknown as [string, string, string, string]
    const limit = found.get(metric) ?? { metric }
    found.set(metric, { ...limit, [sign === '<' ? 'max' : 'min']: Number(number) })
  }
  return [...found.values()]
}

// Metrics of a run against what they cost: plain arithmetic of the charts.
import type { MetricSeries } from '../../lib/schema'

/** What lies along the axis. */
export type Along = 'energy' | 'time' | 'step'

export interface Point {
  /** Joules, seconds or steps. */
  x: number
  value: number
  /** Which of the metric's points it is. */
  row: number
}

/** The points that have both ends, in order along the axis. */
export function points(metric: MetricSeries, along: Along): Point[] {
  const xs = { energy: metric.energy_j, time: metric.t_s, step: metric.step }[along]
  return metric.value
    .flatMap((value, row) => {
      const x = xs[row]
      return value === null || x === null || x === undefined ? [] : [{ x, value, row }]
    })
    .sort((a, b) => a.x - b.x)
}

/** From and to of an axis: what it holds, with some room where all of it is one value. */
export function range(values: number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  if (low < high) return [low, high]
  const room = Math.abs(low) * 0.1 || 1
  return [low - room, high + room]
}

/** Whether there is anything to draw along this axis. */
export function canDraw(metrics: MetricSeries[], along: Along): boolean {
  return metrics.some((metric) => points(metric, along).length > 0)
}

/** The point nearest to a place along the axis. */
export function nearest(all: Point[], x: number): Point | undefined {
  return all.reduce<Point | undefined>(
    (best, point) => (best && Math.abs(best.x - x) <= Math.abs(point.x - x) ? best : point),
    undefined,
  )
}

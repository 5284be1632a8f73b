// The window on the time axis and the brush inside it: plain arithmetic, in seconds from the run's start.
import type { PowerLine } from '../../lib/schema'
import { componentToken, seriesToken } from '../../lib/colors'

/** From and to, in seconds from the run's start. */
export type Window = [number, number]

/** A line of a time chart, drawn. */
export interface Line {
  name: string
  token: string
  values: (number | null)[]
  low?: (number | null)[]
  high?: (number | null)[]
  dashed?: boolean
  filled?: boolean
  hatched?: boolean
  thick?: boolean
}

/** The plotting area is this far from the left and the right of every chart of the view. */
export const LEFT = 64
export const RIGHT = 10
const SHORTEST_S = 1e-5

/** A window of at least some microseconds that lies within the run. */
export function within([from, to]: Window, length: number): Window {
  const size = Math.min(Math.max(to - from, SHORTEST_S), Math.max(length, SHORTEST_S))
  const start = Math.min(Math.max(from, 0), Math.max(length - size, 0))
  return [start, start + size]
}

/** Zoomed by a factor (below 1: closer) around a moment. */
export function zoomed([from, to]: Window, factor: number, around: number, length: number): Window {
  return within([around - (around - from) * factor, around + (to - around) * factor], length)
}

/** Moved by a share of its size. */
export function moved([from, to]: Window, share: number, length: number): Window {
  const by = (to - from) * share
  return within([from + by, to + by], length)
}

/** The moment under a pixel of the plotting area. */
export function momentAt(x: number, width: number, [from, to]: Window): number {
  return from + Math.min(Math.max(x / Math.max(width, 1), 0), 1) * (to - from)
}

/**
 * What an arrow key does to the brush: move it, or with shift its end.
 * Null where there is none yet: it begins in the middle.
 */
export function stepped(
  brush: Window | null,
  view: Window,
  direction: 1 | -1,
  end: boolean,
  length: number,
): Window {
  const size = view[1] - view[0]
  if (!brush) return within([view[0] + size * 0.45, view[0] + size * 0.55], length)
  const by = (size / 100) * direction
  if (!end) return within([brush[0] + by, brush[1] + by], length)
  return [brush[0], Math.min(Math.max(brush[1] + by, brush[0] + SHORTEST_S), length)]
}

/** From the address, or null for what is no window. */
export function parseWindow(from: string | null, to: string | null): Window | null {
  if (!from || !to) return null
  const [a, b] = [Number(from), Number(to)]
  return Number.isFinite(a) && Number.isFinite(b) && b > a ? [a, b] : null
}

/** Seconds with as many digits as the window needs. */
export function seconds(value: number, size: number): string {
  const digits = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.max(size, 1e-6)))))
  return value.toFixed(digits)
}

export type Mode = 'stacked' | 'lines' | 'apart'

/** What is drawn of the API's lines: stacked sums from the top down, or each by itself with the total. */
export function drawn(lines: PowerLine[], mode: Mode): Line[] {
  const styled = (line: PowerLine, index: number): Line => ({
    name: line.name + (line.counted ? '' : ' (not in the total)'),
    token: mode === 'apart' ? seriesToken(index) : componentToken(line.component),
    values: line.mean_w,
    low: line.low_w,
    high: line.high_w,
    dashed: line.methods.includes('modelled'),
  })
  const counted = lines.filter((line) => line.counted)
  if (mode !== 'stacked') {
    const found = lines.map(styled)
    if (counted.length > 1 && mode === 'lines')
      found.push({ name: 'total', token: 'ink', values: total(counted), thick: true })
    return found
  }
  const sums: Line[] = []
  const sum: number[] = []
  counted.forEach((line, index) => {
    line.mean_w.forEach((value, i) => (sum[i] = (sum[i] ?? 0) + (value ?? 0)))
    const known = line.mean_w.map((value, i) => (value === null ? null : sum[i]!))
    sums.push({
      ...styled(line, index),
      low: undefined,
      high: undefined,
      values: known,
      filled: true,
      hatched: line.methods.includes('modelled'),
    })
  })
  const beside = lines.filter((line) => !line.counted).map((line, index) => styled(line, index))
  return [...sums.reverse(), ...beside]
}

/** The sum where every part is known. */
export function total(lines: PowerLine[]): (number | null)[] {
  return (lines[0]?.mean_w ?? []).map((_, i) => {
    let sum = 0
    for (const line of lines) {
      const value = line.mean_w[i]
      if (value === null || value === undefined) return null
      sum += value
    }
    return sum
  })
}

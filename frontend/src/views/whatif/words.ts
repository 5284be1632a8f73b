// A difference as a sentence that can stand alone.
import { duration, interval, withUnit } from '../../lib/format'
import type { Difference } from './types'

export function amountOf(value: number, unit: string): string {
  return unit === 's' ? duration(Math.abs(value)) : withUnit(Math.abs(value), unit)
}

/** "31 % less than the original: 12.3 g, between 8 g and 15 g" and the like; silent about a direction that is not known. */
export function difference(d: Difference | null): string {
  if (!d) return 'not known'
  if (d.verdict === 'same') return 'the same as the original'
  const [near, far] = [d.low, d.high].map(Math.abs).sort((a, b) => a - b) as [number, number]
  if (d.verdict === 'unclear')
    return `may be less or more: from ${amountOf(d.low, d.unit)} less to ${amountOf(d.high, d.unit)} more`
  return `${share(d)}${amountOf(d.value, d.unit)} ${d.verdict} than the original (${between(near, far, d.unit)})`
}

function share(d: Difference): string {
  if (!d.ratio) return ''
  const part = Math.abs(d.ratio.value - 1) * 100
  if (d.ratio.value >= 2) return `${Number(d.ratio.value.toPrecision(2))} times as much, `
  return `${Number(part.toPrecision(2))} %, `
}

function between(low: number, high: number, unit: string): string {
  if (unit === 's') return low === high ? 'exact' : `${duration(low)} – ${duration(high)}`
  return interval({ value: high, low, high, unit })
}

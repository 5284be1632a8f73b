// A difference as a sentence that can stand alone.
import { duration, number, withUnit } from '../../lib/format'
import type { Difference } from '../../lib/schema'

function amount(value: number, unit: string): string {
  return unit === 's' ? duration(Math.abs(value)) : withUnit(Math.abs(value), unit)
}

/** "31 % less than the original: 12.3 g less, from 8 g to 15 g" and the like. */
export function difference(d: Difference | null): string {
  if (!d) return 'not known'
  if (d.verdict === 'same') return 'the same as the original'
  if (d.verdict === 'unclear')
    return `may be less or more: from ${amount(d.low, d.unit)} less to ${amount(d.high, d.unit)} more`
  const [near, far] = d.value < 0 ? [d.high, d.low] : [d.low, d.high]
  const span = near === far ? '' : `, from ${amount(near, d.unit)} to ${amount(far, d.unit)}`
  return `${share(d)} the original: ${amount(d.value, d.unit)} ${d.verdict}${span}`
}

function share(d: Difference): string {
  if (!d.ratio) return `${d.verdict} than`
  if (d.ratio.value >= 2) return `${number(d.ratio.value, 2)} times`
  return `${number(Math.abs(d.ratio.value - 1) * 100, 2)} % ${d.verdict} than`
}

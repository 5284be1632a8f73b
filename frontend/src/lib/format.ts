// Numbers as people read them: three significant digits, a prefix that fits, never more digits than are known.
import type { Quantity } from './api'

const STEPS: Record<string, [number, string][]> = {
  J: [[3.6e9, 'MWh'], [3.6e6, 'kWh'], [3.6e3, 'Wh'], [1, 'J'], [1e-3, 'mJ'], [1e-6, 'µJ']],
  W: [[1e6, 'MW'], [1e3, 'kW'], [1, 'W'], [1e-3, 'mW'], [1e-6, 'µW']],
  g: [[1e6, 't'], [1e3, 'kg'], [1, 'g'], [1e-3, 'mg'], [1e-6, 'µg']],
  B: [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']],
}

/** `null` and what is not a number become a dash: nothing is known. */
export function number(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1e15 || size < 1e-4) return value.toExponential(digits - 1)
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)))
  return value.toLocaleString('en-GB', { maximumFractionDigits: decimals, minimumFractionDigits: 0 })
}

/** A value with its unit, in the step that fits: `withUnit(7200, 'J')` is "2 Wh". */
export function withUnit(value: number | null | undefined, unit: string, digits = 3): string {
  const [factor, shown] = step(value, unit)
  const text = number(value === null || value === undefined ? value : value / factor, digits)
  return text === '–' ? text : `${text} ${shown}`.trim()
}

export function quantity(q: Quantity | null | undefined, unit = q?.unit ?? ''): string {
  return q ? withUnit(q.value, unit) : '–'
}

/** "1.2 – 1.4 Wh", both ends in the unit of the upper one. */
export function interval(q: Quantity | null | undefined, unit = q?.unit ?? ''): string {
  if (!q) return '–'
  const [factor, shown] = step(q.high, unit)
  return `${number(q.low / factor)} – ${number(q.high / factor)} ${shown}`.trim()
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–'
  if (seconds < 1e-3) return `${number(seconds * 1e6)} µs`
  if (seconds < 1) return `${number(seconds * 1e3)} ms`
  if (seconds < 120) return `${number(seconds)} s`
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`
  return h ? `${h} h ${m} min` : `${m} min ${s} s`
}

export function moment(iso: string): string {
  const when = new Date(iso)
  return Number.isNaN(when.getTime()) ? '–' : when.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

export function percent(share: number | null | undefined, digits = 2): string {
  return share === null || share === undefined ? '–' : `${number(share * 100, digits)} %`
}

export function step(value: number | null | undefined, unit: string): [number, string] {
  const steps = STEPS[unit]
  if (!steps || !value || !Number.isFinite(value)) return [1, unit]
  return steps.find(([factor]) => Math.abs(value) >= factor) ?? steps[steps.length - 1]!
}

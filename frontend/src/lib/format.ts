// Numbers as people read them: as in the terminal (units.json is written by tools/units.py from wattmark/units.py).
import type { Quantity } from './api'
import units from './units.json'

type Step = [from: number, divisor: number, unit: string]
const STEPS = units.steps as unknown as Record<string, Step[]>
const ENERGY = units.energy as unknown as Record<string, Step[]>
const BYTES: Step[] = [
  [2 ** 40, 2 ** 40, 'TiB'],
  [2 ** 30, 2 ** 30, 'GiB'],
  [2 ** 20, 2 ** 20, 'MiB'],
  [2 ** 10, 2 ** 10, 'KiB'],
  [0, 1, 'B'],
]

let energySteps: Step[] = ENERGY['auto']!

/** Take the user's setting `energy_unit`: auto, J, Wh or kWh. */
export function showEnergiesIn(unit: string): void {
  energySteps = ENERGY[unit] ?? ENERGY['auto']!
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

/** The digits that the terminal shows: three significant ones or more, zeros at the end kept, ties to even. */
export function digits(value: number, most = 3): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  const decimals = Math.max(0, most - 1 - Math.floor(Math.log10(size)))
  const exact = size.toFixed(Math.min(100, decimals + 60))
  const cut = exact.length - Math.min(100 - decimals, 60)
  const even =
    /^50*$/.test(exact.slice(cut)) &&
    Number(exact.slice(0, cut).at(-1) === '.' ? exact.at(cut - 2) : exact.at(cut - 1)) % 2 === 0
  const [whole, part] = (even ? exact.slice(0, cut) : size.toFixed(decimals)).replace(/\.$/, '').split('.')
  const grouped = part ? whole! : whole!.replace(/\B(?=(\d{3})+$)/g, ',')
  return `${value < 0 ? '-' : ''}${grouped}${part ? `.${part}` : ''}`
}

/** A value with its unit, in the step that fits, or in that of `like`: `withUnit(72000, 'J')` is "72.0 kJ". */
export function withUnit(value: number | null | undefined, unit: string, like = value): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–'
  const [, divisor, shown] = step(like, unit)
  return shown === unit && !stepsOf(unit)
    ? `${number(value)} ${unit}`.trim()
    : `${digits(value / divisor)} ${shown}`
}

export function quantity(q: Quantity | null | undefined, unit = q?.unit ?? ''): string {
  return q ? withUnit(q.value, unit) : '–'
}

/** "1.20 – 1.40 kJ", both ends in the unit of the value. */
export function interval(q: Quantity | null | undefined, unit = q?.unit ?? ''): string {
  if (!q) return '–'
  if (!stepsOf(unit)) return `${number(q.low)} – ${number(q.high)} ${unit}`.trim()
  const [, divisor, shown] = step(q.value || q.high, unit) // nothing has no unit of its own
  return `${digits(q.low / divisor)} – ${digits(q.high / divisor)} ${shown}`
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
  return Number.isNaN(when.getTime())
    ? '–'
    : when.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

export function percent(share: number | null | undefined, digits = 2): string {
  return share === null || share === undefined ? '–' : `${number(share * 100, digits)} %`
}

function stepsOf(unit: string): Step[] | undefined {
  return unit === 'J' ? energySteps : unit === 'B' ? BYTES : STEPS[unit]
}

/** From which size on, divided by what, in which unit a value of this size is shown. */
export function step(value: number | null | undefined, unit: string): Step {
  const steps = stepsOf(unit)
  if (!steps) return [0, 1, unit]
  const size = Math.abs(value ?? 0)
  if (!size || !Number.isFinite(size)) return steps.find(([, divisor]) => divisor === 1) ?? steps[0]!
  return steps.find(([from]) => size >= from) ?? steps[steps.length - 1]!
}

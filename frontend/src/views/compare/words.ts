// Pure parts of the comparison: what the address asks for, labels that tell entries apart, where a bar begins and ends.
import { number, withUnit } from '../../lib/format'
import type { Quantity } from '../../lib/api'
import type { Compared, Comparison, Gap, Line } from '../../lib/schema'

export interface Asked {
  run: string[]
  baseline: string | undefined
  repeats: boolean
  only: string[]
}

export function asked(parts: string[], query: URLSearchParams): Asked {
  return {
    run: [...new Set(parts)],
    baseline: query.get('base') ?? undefined,
    repeats: query.get('repeats') === '1',
    only: (query.get('only') ?? '').split(',').filter(Boolean),
  }
}

/** A letter for each entry, then its name, so that equal names are told apart. */
export function letter(index: number): string {
  return index < 26
    ? String.fromCharCode(65 + index)
    : `${String.fromCharCode(65 + (index % 26))}${Math.floor(index / 26)}`
}

/** "+12 % (8 to 16)"; empty for the baseline. */
export function percentWords(gap: Gap | null): string {
  if (!gap?.percent) return ''
  const [value, low, high] = gap.percent
  const spread = low < high ? ` (${signed(low)} to ${signed(high)})` : ''
  return `${signed(value)} %${spread}`
}

export function gapWords(gap: Gap | null, unit: string): string {
  if (!gap) return ''
  const one = (value: number) => (value < 0 ? '−' : '+') + withUnit(Math.abs(value), unit)
  return gap.low < gap.high ? `${one(gap.value)} (${one(gap.low)} to ${one(gap.high)})` : one(gap.value)
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${number(Math.abs(value), 2)}`
}

/**
 * What the comparison with the baseline rests on, as the ends of a bar:
 * it leaves out the baseline's value if the verdict is clear. Null for the baseline, and where there is no ratio. */
export function restsOn(
  gap: Gap | null | undefined,
  base: Quantity | null | undefined,
): [number, number] | null {
  if (!gap?.ratio || !base) return null
  return [Math.max(0, gap.ratio.low * base.value), gap.ratio.high * base.value]
}

/** The largest upper end of a measure, for bars that share a scale; null where none has it. */
export function most(entries: Compared[], measure: string, base?: Quantity | null): number | null {
  const ends = entries.flatMap((entry) => {
    const value = entry.values[measure]
    return [value?.amount?.high ?? [], restsOn(value?.difference, base)?.[1] ?? []].flat()
  })
  return ends.length ? Math.max(...ends) : null
}

/** The measure that the address names if it can be offered, else energy per what all counted, else energy. */
export function chosenMeasure(found: Comparison, wanted: string | null): string {
  const offered = found.measures.filter((measure) => !measure.why).map((measure) => measure.id)
  return wanted && offered.includes(wanted) ? wanted : (offered[0] ?? 'duration_s')
}

/** Series for a chart: one for each run and method that it has. */
export interface Drawn {
  run: string
  method: 'measured' | 'modelled'
  values: (number | null)[]
}
export function drawn(lines: Line[], of: 'power' | 'energy'): Drawn[] {
  const end = of === 'power' ? 'w' : 'j'
  return lines.flatMap((line) =>
    (['measured', 'modelled'] as const).flatMap((method) => {
      const values = line[`${method}_${end}`]
      return values.length ? [{ run: line.run, method, values }] : []
    }),
  )
}

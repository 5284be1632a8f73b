// The full cycle in words: who is the cheapest at so many uses, and what its stages share.
import type { CycleAnswer, ModelOut } from '../../lib/schema'
import { number } from '../../lib/format'

export interface Row {
  model: ModelOut
  value: number
  low: number
  high: number
  data: number | null
  training: number | null
  inference: number | null
  verdict: string
}

/** Lines that say something. */
export function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
}

/** The place of the number of uses that is nearest by its logarithm; the middle where none is asked. */
export function nearest(uses: readonly number[], wanted: number): number {
  if (!(wanted > 0) || !uses.length) return Math.floor(uses.length / 2)
  const apart = uses.map((one) => Math.abs(Math.log(one / wanted)))
  return apart.indexOf(Math.min(...apart))
}

/** ``1234567`` -> ``1.23 million``. */
export function said(uses: number): string {
  for (const [size, word] of [
    [1e12, ' trillion'],
    [1e9, ' billion'],
    [1e6, ' million'],
  ] as const)
    if (uses >= size) return `${number(uses / size)}${word}`
  return number(uses)
}

/** The models at one number of uses, the cheapest first. */
export function rows(answer: CycleAnswer, at: number): Row[] {
  const uses = answer.uses[at] ?? 0
  const rivals = new Set(answer.rivals[at] ?? [])
  const sorted = answer.models
    .map((model) => ({
      model,
      value: model.value[at] ?? 0,
      low: model.low[at] ?? 0,
      high: model.high[at] ?? 0,
    }))
    .sort((a, b) => a.value - b.value)
  return sorted.map((row, place) => {
    const whole = row.value
    const share = (part: number) => (whole > 0 ? part / whole : null)
    const least = sorted[0]!.value
    const times = least > 0 ? `${number(row.value / least)} times` : 'more'
    return {
      ...row,
      data: share(row.model.data_j),
      training: share(row.model.training_j),
      inference: share(row.model.per_use.value * uses),
      verdict:
        place === 0 ? 'the cheapest' : rivals.has(row.model.name) ? `may be as cheap (${times})` : times,
    }
  })
}

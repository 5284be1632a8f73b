// Answers of the API about one run (src/wattmark/dashboard/runs_one*.py).
import type { Quantity } from '../../lib/api'

export interface Channel {
  id: string; component: string; source: string; method: string; scope: string; label: string; energy: Quantity | null
  samples: number; max_gap_s: number | null; counted: boolean; citation: string; relative_low: number
  relative_high: number; absolute_w: number
}
export interface Term { key: string; name: string; amount: Quantity; year: number | null; url: string; parts: Term[] }
export interface Equation {
  formula: string; terms: Term[]; grams: Quantity | null; zone: string | null; zone_name: string | null
  zone_from: string | null; scope: string | null
}
export interface Run {
  run_id: string; name: string; status: string; live: boolean; exit_code: number | null; started_at: string
  duration_s: number; host: string; parent_id: string | null; tags: Record<string, string>; energy: Quantity | null
  components: Record<string, Quantity>; above_idle: Quantity | null; attributed: Quantity | null
  rules: Record<string, string>; mean_power_w: number | null; peak_power_w: number | null; coverage: number
  measured: string[]; modelled: string[]; carbon: Quantity | null; equation: Equation; channels: Channel[]
  series: { id: string; unit: string; label: string; source: string }[]; spans: number; samples: number
  warnings: { code: string; message: string }[]; environment: Record<string, unknown>; recorder: Record<string, unknown>
}
export interface PowerLine {
  name: string; component: string; methods: string[]; channels: string[]; counted: boolean
  mean_w: (number | null)[]; low_w: (number | null)[]; high_w: (number | null)[]; holes: [number, number][]
}
export interface Power {
  from_s: number; to_s: number; duration_s: number; live: boolean; t_s: number[]; lines: PowerLine[]
  energy: Quantity | null
}
export interface WindowEnergy {
  from_s: number; to_s: number; energy: Quantity | null; mean_power_w: number | null; coverage: number
  carbon: Quantity | null
  components: {
    name: string; energy: Quantity | null; mean_power_w: number | null; methods: string[]; counted: boolean
    coverage: number
  }[]
  counts: { name: string; value: number; exact: boolean; per_joule: Quantity | null; joules_per: Quantity | null }[]
  counts_rule: string
}
export interface Band { name: string; depth: number; from_s: number; to_s: number; spans: number; row: number | null }
export interface Bands { bands: Band[]; depths: number; spans: number; joined: boolean }
export interface Span {
  row: number; name: string; depth: number; start_s: number; duration_s: number; energy: Quantity | null
  counts: Record<string, number>; attrs: Record<string, unknown>; children: number; open: boolean
}
export interface SpanPage { total: number; spans: Span[] }
export interface Sides {
  t_s: number[]
  lines: {
    id: string; label: string; unit: string; source: string; mean: (number | null)[]; low: (number | null)[]
    high: (number | null)[]
  }[]
}

/** A line of a time chart, drawn. */
export interface Line {
  name: string; token: string; values: (number | null)[]; low?: (number | null)[]; high?: (number | null)[]
  dashed?: boolean; filled?: boolean; hatched?: boolean; thick?: boolean
}
export type Window = [number, number]

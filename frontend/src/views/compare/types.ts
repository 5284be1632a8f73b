// What the server says of runs beside each other.
import type { Quantity } from '../../lib/api'

export interface Gap { value: number; low: number; high: number; percent: [number, number, number] | null; clear: boolean }
export interface Value { amount: Quantity | null; difference: Gap | null; verdict: string }
export interface Entry {
  key: string; label: string; host: string; runs: { id: string; name: string; status: string; started_ms: number }[]; coverage: number
  measured: Quantity | null; modelled: Quantity | null; components: { component: string; method: string; energy: Quantity | null }[]
  values: Record<string, Value>; refused: string | null; notes: string[]; sentence: string
}
export interface Measure { id: string; label: string; unit: string; why: string | null }
export interface Different { group: string; name: string; values: (string | null)[] }
export interface Comparison {
  baseline: string; entries: Entry[]; measures: Measure[]; differs: Different[]; same: number; shared: string[]; components: string[]
  only: string[] | null; repeats: boolean; spans: string[]; rule: string
}
export interface CurveLine {
  run: string; name: string; measured_w: (number | null)[]; modelled_w: (number | null)[]; measured_j: (number | null)[]; modelled_j: (number | null)[]
}
export interface AlignedCurves { align: string; x: number[]; unit: string; lines: CurveLine[]; without: string[] }

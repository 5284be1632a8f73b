// What the server says about places, hardware and scenarios (src/wattmark/dashboard/api/whatif/schemas.py).
import type { Quantity } from '../../lib/api'

export type Metric = 'energy' | 'carbon' | 'cost'

export interface Place {
  id: string
  name: string
  kind: 'country' | 'aggregate' | 'region' | 'egrid' | 'state' | 'cloud'
  country: string | null
  intensity: Quantity
  year: number
  url: string
  years: number[]
  lat: number | null
  lon: number | null
}

export interface NamedPue {
  name: string
  value: number
  low: number
  high: number
  source: string
  year: number | null
  url: string
}

export interface Part {
  id: string
  name: string
  vendor: string
  kind: string
  year: number | null
  tdp_w: number | null
  cap_min_w: number | null
  cap_max_w: number | null
  memory_gb: number | null
  bandwidth_gb_s: number | null
  cores: number | null
  source: string
  url: string
}

export interface Installed {
  id: string
  name: string
  quantity: number
}

export interface Band {
  value: number[]
  low: number[]
  high: number[]
}

/** Epoch by epoch. measured: these very joules were measured; extrapolated: this epoch never ran. */
export interface Course {
  epoch: number[]
  measured: boolean[]
  extrapolated: boolean[]
  each: Record<Metric, Band | null>
  total: Record<Metric, Band | null>
}

export interface Share {
  component: string
  energy: Quantity
  /** measured, modelled, imported or predicted */
  basis: string
}

export interface Term {
  name: string
  symbol: string
  role: 'base' | 'factor' | 'energy' | 'carbon' | 'cost'
  value: number
  low: number
  high: number
  unit: string
  source: string
  link: string
  year: number | null
  /** Of the scenario that changes it. */
  field: string | null
}

export interface Side {
  energy: Quantity | null
  carbon: Quantity | null
  cost: Quantity | null
  duration: Quantity | null
  /** Why a number is not known, by its name. */
  unknown: Record<string, string>
  shares: Share[]
  course: Course | null
  terms: Term[]
  notes: string[]
}

export interface Difference {
  value: number
  low: number
  high: number
  unit: string
  /** Share of the original, null where that is zero or unknown. */
  ratio: { value: number; low: number; high: number } | null
  verdict: 'less' | 'more' | 'same' | 'unclear'
}

/** A factor of the run's study, with the levels that were measured and the one that the run had. */
export interface Factor {
  name: string
  levels: string[]
  own: string
}

export interface RunHead {
  id: string
  name: string
  status: string
  started_at: string
  imported: string | null
  epochs: number
  accelerators: Installed[]
  cpus: Installed[]
  unknown_hardware: string[]
  zone: string | null
  zone_from: string | null
  pue: string
  study: string | null
  factors: Factor[]
  power_cap: { min: number | null; max: number | null } | null
}

export type Differences = Record<Metric | 'duration', Difference | null>

export interface AlternativeAnswer {
  run: RunHead
  side: Side
  difference: Differences
}

export interface Answer {
  run: RunHead
  original: Side
  alternatives: AlternativeAnswer[]
}

export interface RunLine {
  id: string
  name: string
  status: string
  started_at: string
  energy_j: number | null
  imported: string | null
  study: string | null
}

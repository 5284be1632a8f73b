// What the API says of a study (src/wattmark/dashboard/api/studies/routes.py).
import type { Quantity } from '../../lib/api'

export interface Progress {
  name: string; title: string; workload: string; serving: boolean; running: boolean
  planned: number; done: number; failed: number
  energy_j: number; modelled: boolean | null; duration_s: number; left_s: number | null
  started_at: string | null; last_at: string | null
}

export type Level = string | number | boolean | null

export interface Metric { name: string; unit: string; meaning: string }

export interface Cell {
  label: string
  factors: Record<string, Level>
  trials: string[]
  completed: number
  metrics: Record<string, Quantity>
  modelled: number | null
  command: string
}

export interface Trial {
  trial_id: string; repeat: number; factors: Record<string, Level>; status: string; run_id: string | null
  started_at: string; duration_s: number; energy_j: Quantity | null; methods: Record<string, string>
  coverage: number | null; contention: number | null; outlier: boolean; error: string | null
}

export interface Study {
  progress: Progress
  factors: Record<string, Level[]>
  subject: string | null
  quality: string | null
  metrics: Metric[]
  cells: Cell[]
  trials: Trial[]
}

export interface Findings {
  pareto_metric: string
  pareto: { cell: string; energy_j: number; quality: number; on_front: boolean; on_front_share: number | null; joules_per_point: Quantity | null }[]
  correlations: { kind: string; per: string; scope: string; names: string[]; r: (number | null)[][]; p: (number | null)[][] }[]
  shares: { cell: string; stages_j: Record<string, number>; components_j: Record<string, Quantity>; methods: Record<string, string> }[]
  guidelines: { text: string; strength: string }[]
  outliers: string[]
}

export interface Epoch { epoch: number; trials: number; energy_j: number | null; power_w: number | null; loss: number | null; accuracy: number | null }
export type Epochs = Record<string, Epoch[]>

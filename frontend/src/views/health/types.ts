// Answers of src/wattmark/dashboard/api/health.py.
import type { Quantity } from '../../lib/api'

export interface AdviceItem { what: string; why: string; how: string | null }
export interface Machine {
  host: string; advice: AdviceItem[]; warnings: string[]; script: string | null
  found: {
    source: string; channel: string | null; method: string | null; used: boolean; counted: boolean; accuracy: string | null
    why: string | null; problem: string | null; fix: string | null
  }[]
  recent: { run_id: string; name: string; started_at: string; coverage: number | null; energy: Quantity | null }[]
}
export interface RunHealth {
  run_id: string; name: string; coverage: number; recorder_share: number | null; recorder_cpu_s: number | null
  recorder_rss_bytes: number | null; period_s: number | null; warnings: { code: string; message: string }[]; advice: AdviceItem[]
  channels: {
    id: string; component: string; method: string; counted: boolean; coverage: number; samples: number
    usual_gap_s: number | null; max_gap_s: number | null; wraps: number | null; wrap_s: number | null; holes: [number, number][]
  }[]
  agreements: {
    what: string; first: string; second: string; first_energy: Quantity | null; second_energy: Quantity | null
    ratio: number | null; agrees: boolean
  }[]
}

// What scores say, in words.
import { percent } from '../../lib/format'
import type { Miss, Score } from '../../lib/schema'

/** How much of a run was seen when it was predicted. */
export function seen(share: number | null | undefined): string {
  return share === null || share === undefined ? 'before it' : percent(share)
}

/** A share with its sign. */
export function signed(share: number | null | undefined): string {
  if (share === null || share === undefined) return '–'
  return share > 0 ? `+${percent(share)}` : percent(share)
}

/** The worst misses of all, of each run the worst one. */
export function misses(scores: readonly Score[], most = 8): Miss[] {
  const worst = new Map<string, Miss>()
  for (const miss of scores.flatMap((score) => score.worst)) {
    const key = miss.run_id ?? miss.prediction_id
    const before = worst.get(key)
    if (!before || Math.abs(miss.error) > Math.abs(before.error)) worst.set(key, miss)
  }
  return [...worst.values()].sort((a, b) => Math.abs(b.error) - Math.abs(a.error)).slice(0, most)
}

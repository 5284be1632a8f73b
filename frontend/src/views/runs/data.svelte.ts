// The runs, kept current: asked for whole when the list changed, those that go on every second or two.
import { get, send } from '../../lib/api'
import { haystack, rowsOf, tagChange, type Row } from './rows'
import type { Removed, Running, RunTable } from '../../lib/schema'

const OFTEN_MS = 1_500
const SELDOM_MS = 4_000

export class RunsData {
  rows = $state.raw<Row[] | null>(null)
  removed = $state.raw<Removed[]>([])
  problem = $state.raw<unknown>(null)
  private stamp = ''

  /** Ask until the returned function is called. */
  follow(): () => void {
    let gone = false
    let timer: ReturnType<typeof setTimeout>
    const ask = async () => {
      try {
        if (!this.rows) await this.load()
        else if (!document.hidden) await this.look()
        this.problem = null
      } catch (error) {
        this.problem = error
      }
      if (gone) return
      const live = this.rows?.some((row) => row.status === 'running')
      timer = setTimeout(ask, live ? OFTEN_MS : SELDOM_MS)
    }
    void ask()
    return () => {
      gone = true
      clearTimeout(timer)
    }
  }

  async load(): Promise<void> {
    const [columns, removed] = await Promise.all([get<RunTable>('runs'), get<Removed[]>('runs/removed')])
    this.stamp = columns.stamp
    this.rows = rowsOf(columns)
    this.removed = removed
  }

  /** Runs that go on are replaced in place; anything else that came or went needs the whole list. */
  private async look(): Promise<void> {
    const { stamp, runs } = await get<Running>('runs/running')
    const live = new Map(rowsOf(runs).map((row) => [row.id, row]))
    const known = this.rows!.filter((row) => row.status === 'running')
    if (stamp !== this.stamp || known.some((row) => !live.has(row.id))) return this.load()
    const stored = new Set(this.rows!.map((row) => row.id))
    const fresh = [...live.values()].filter((row) => !stored.has(row.id))
    if (fresh.length || live.size) this.rows = [...fresh, ...this.rows!.map((row) => live.get(row.id) ?? row)]
  }

  async setTags(row: Row, tags: Record<string, string>): Promise<void> {
    this.put(row.id, await send('PATCH', path(row), tagChange(row.tags, tags)))
  }

  async setNote(row: Row, note: string): Promise<void> {
    this.put(row.id, await send('PATCH', path(row), { note }))
  }

  async remove(ids: string[]): Promise<void> {
    await send('POST', 'runs/remove', { ids })
    await this.load()
  }

  async restore(ids: string[]): Promise<void> {
    await send('POST', 'runs/restore', { ids })
    await this.load()
  }

  private put(id: string, { tags, note }: { tags: Record<string, string>; note: string }): void {
    this.rows = this.rows!.map((row) => {
      if (row.id !== id) return row
      const changed = { ...row, tags, note }
      return { ...changed, text: haystack(changed) }
    })
  }
}

function path(row: Row): string {
  return `runs/${encodeURIComponent(row.id)}`
}

// One study and what the analysis says of it; loaded again as its trials end.
import { get } from '../lib/api'
import type { Epoch, Findings, Progress, Study } from '../lib/schema'

export type Epochs = Record<string, Epoch[]>

export class StudyData {
  study = $state.raw<Study | null>(null)
  progress = $state.raw<Progress | null>(null)
  findings = $state.raw<Findings | null>(null)
  epochs = $state.raw<Epochs>({})
  problem = $state.raw<unknown>(null)
  noFindings = $state.raw<unknown>(null)

  constructor(readonly name: string) {}

  /** Ask until the returned function is called. */
  follow(): () => void {
    let gone = false
    let timer: ReturnType<typeof setTimeout>
    const ask = async () => {
      try {
        this.progress = await get<Progress>(this.path('progress'))
        if (this.progress.done !== this.study?.progress.done) await this.load()
        this.problem = null
      } catch (error) {
        this.problem = error
      }
      if (!gone) timer = setTimeout(ask, this.progress?.running ? 1_000 : 10_000)
    }
    void ask()
    return () => {
      gone = true
      clearTimeout(timer)
    }
  }

  private async load(): Promise<void> {
    this.study = await get<Study>(this.path())
    // The analysis takes longer; the page is there before it.
    void get<Epochs>(this.path('epochs')).then(
      (found) => (this.epochs = found),
      () => (this.epochs = {}),
    )
    void get<Findings>(this.path('findings')).then(
      (found) => {
        this.findings = found
        this.noFindings = null
      },
      (error: unknown) => (this.noFindings = error),
    )
  }

  private path(part = ''): string {
    return `studies/${encodeURIComponent(this.name)}${part ? `/${part}` : ''}`
  }
}

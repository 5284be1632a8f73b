// The server's answers by what was asked, so that an edit of one alternative asks for that one only.
import { SvelteMap } from 'svelte/reactivity'
import { send } from '../../lib/api'
import { asked, type Alternative, type Scenario } from './plan'
import type { WhatIfAnswer } from '../../lib/schema'

const MOST_KEPT = 300

export class Answers {
  readonly found = new SvelteMap<string, WhatIfAnswer | Error>()
  private readonly waiting = new Set<string>()

  /** What is asked about a run, as text; `alternative` null asks for the original only. */
  static key(
    run: string,
    study: string | undefined,
    base: Scenario,
    alternative: Alternative | null,
  ): string {
    const { zone, year, pue, price, currency, hardware } = base
    return JSON.stringify({
      run,
      ...(study ? { study } : {}),
      original: asked({ zone, year, pue, price, currency, hardware } as Scenario),
      alternatives: alternative
        ? [{ ...(alternative.run ? { run: alternative.run } : {}), scenario: asked(alternative) }]
        : [],
    })
  }

  /** Ask, unless it is known (`again` asks in any case; the old answer stays until the new one is there). */
  async ask(key: string, again = false): Promise<void> {
    if (this.waiting.has(key) || (!again && this.found.has(key))) return
    this.waiting.add(key)
    try {
      this.found.set(key, await send<WhatIfAnswer>('POST', 'whatif', JSON.parse(key)))
    } catch (error) {
      const before = this.found.get(key)
      if (!again || before === undefined || before instanceof Error)
        this.found.set(key, error instanceof Error ? error : new Error(String(error)))
    } finally {
      this.waiting.delete(key)
      if (this.found.size > MOST_KEPT) this.found.delete(this.found.keys().next().value!)
    }
  }

  answer(key: string): WhatIfAnswer | undefined {
    const got = this.found.get(key)
    return got instanceof Error ? undefined : got
  }

  error(key: string): Error | undefined {
    const got = this.found.get(key)
    return got instanceof Error ? got : undefined
  }
}

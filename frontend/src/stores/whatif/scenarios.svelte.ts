// The scenarios of a run: they live in the address, every change is one of the address, and undo goes through them.
import { untrack } from 'svelte'
import { go, href, router, setQuery } from '../../lib/router.svelte'
import type { RunChoice } from '../../lib/schema'
import {
  decode,
  encode,
  History,
  MOST_ALTERNATIVES,
  type Alternative,
  type Plan,
  type Scenario,
} from './plan'

export class Scenarios {
  private readonly parts: () => string[]
  private readonly history: History

  readonly query = $derived(router.place.query)
  readonly run = $derived.by(() => this.parts()[0])
  readonly study = $derived(this.query.get('study') ?? undefined)
  readonly plan = $derived(decode(this.query))
  /** The alternative that the controls change. */
  readonly active = $derived(this.plan.alternatives[this.plan.active])
  /** What the user points at and has not chosen. */
  preview = $state.raw<Partial<Scenario> | null>(null)
  /** What is to be said about the last act. */
  message = $state('')
  canUndo = $state(false)
  canRedo = $state(false)

  /** Made while a component is; `parts` are those of the address that are meant for it. */
  constructor(parts: () => string[]) {
    this.parts = parts
    this.history = new History(untrack(() => JSON.stringify(encode(this.plan))))
    $effect(() => {
      this.history.push(JSON.stringify(encode(this.plan)))
      this.canUndo = this.history.canUndo
      this.canRedo = this.history.canRedo
    })
  }

  undo(): void {
    this.restore(this.history.undo())
  }

  redo(): void {
    this.restore(this.history.redo())
  }

  reset(): void {
    this.put({ ...this.plan, alternatives: [], active: -1 })
  }

  activate(index: number): void {
    this.put({ ...this.plan, active: index })
  }

  /** Change the active alternative, or make one. */
  edit(change: Partial<Scenario>): void {
    const { plan, active } = this
    if (!active && !Object.values(change).some((value) => value !== undefined)) return
    const alternatives = active ? this.changed(plan.active, change) : [...plan.alternatives, { ...change }]
    this.put({ ...plan, alternatives, active: active ? plan.active : alternatives.length - 1 })
  }

  /** Change what is said about the original itself. */
  editBase(change: Partial<Scenario>): void {
    this.put({ ...this.plan, base: { ...this.plan.base, ...change } })
  }

  rename(index: number, name: string): void {
    const text = name.trim().slice(0, 80) || undefined
    this.put({ ...this.plan, alternatives: this.changed(index, { name: text } as Alternative) })
  }

  /** Put alternatives beside the others: all of them, or none where there is no room. */
  add(...more: Alternative[]): void {
    const { plan } = this
    const alternatives = [...plan.alternatives, ...more]
    const tooMany = alternatives.length - MOST_ALTERNATIVES
    if (tooMany > 0) this.message = `There can be ${MOST_ALTERNATIVES} alternatives; remove ${tooMany} first.`
    else this.put({ ...plan, alternatives, active: alternatives.length - 1 })
  }

  remove(index: number): void {
    const alternatives = this.plan.alternatives.filter((_, at) => at !== index)
    this.put({ ...this.plan, alternatives, active: alternatives.length - 1 })
  }

  /** The run of an alternative becomes the one to start from, and the other way round. */
  makeMain(index: number): void {
    const { plan, run } = this
    const chosen = plan.alternatives[index]?.run
    if (!chosen || !run) return
    const query = encode({ ...plan, base: {}, alternatives: this.changed(index, { run } as Alternative) })
    go(href('whatif', [chosen], { ...Object.fromEntries(this.query), ...query, base: undefined }))
  }

  /** Start from another run. */
  choose(run: RunChoice): void {
    go(href('whatif', [run.id], Object.fromEntries(this.query)))
  }

  /** Runs that were just imported: alternatives, the first the original where there is none yet. */
  take(runs: RunChoice[]): void {
    const { plan } = this
    if (this.run) {
      const more = alternativesOf(runs, MOST_ALTERNATIVES - plan.alternatives.length)
      const alternatives = [...plan.alternatives, ...more]
      this.put({ ...plan, alternatives, active: alternatives.length - 1 })
      return
    }
    const [main, ...others] = runs
    if (!main) return
    const alternatives = alternativesOf(others, MOST_ALTERNATIVES)
    go(href('whatif', [main.id], encode({ base: {}, alternatives, active: others.length - 1 })))
  }

  private changed(index: number, change: Partial<Alternative>): Alternative[] {
    return this.plan.alternatives.map((one, at) => (at === index ? { ...one, ...change } : one))
  }

  private put(plan: Plan): void {
    this.preview = null
    setQuery(encode(plan))
  }

  private restore(snapshot: string | null): void {
    if (snapshot !== null) {
      const query = JSON.parse(snapshot) as Record<string, string>
      setQuery({ base: undefined, alt: undefined, on: undefined, ...query })
    }
    this.preview = null
  }
}

function alternativesOf(runs: RunChoice[], most: number): Alternative[] {
  return runs.slice(0, most).map((run) => ({ run: run.id }))
}

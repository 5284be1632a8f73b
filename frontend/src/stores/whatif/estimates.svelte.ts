// What the server answers to the scenarios, and what stands for a side until its new answer is there.
import { untrack } from 'svelte'
import { seriesToken, SYMBOLS } from '../../lib/colors'
import type { AlternativeAnswer, EstimateOut, WhatIfAnswer } from '../../lib/schema'
import { Answers } from './answers.svelte'
import type { Catalogue } from './catalogue.svelte'
import { hasAny, named, type Alternative, type Scenario } from './plan'
import type { Scenarios } from './scenarios.svelte'

export const ORIGINAL = { color: 's7', symbol: 'circle' }
const REFRESH_MS = 2000

/** An alternative with its name, its mark and its answer. */
export interface Row {
  name: string
  /** The name is the user's. */
  given: boolean
  color: string
  symbol: string
  answer: AlternativeAnswer | undefined
  error: unknown
  /** What is shown is of the scenario before; the new answer is on its way. */
  stale: boolean
}

/** A side as the chart and the exports have it. */
export interface Line {
  name: string
  estimate: EstimateOut
  /** Token of its colour, and the shape of its points. */
  color: string
  symbol: string
  preview?: boolean
}

export class Estimates {
  private readonly scenarios: Scenarios
  private readonly catalogue: Catalogue
  private readonly answers = new Answers()
  private lastFirst = $state.raw<WhatIfAnswer | undefined>(undefined)
  private latest = $state.raw<(AlternativeAnswer | undefined)[]>([])

  private readonly firstKey = $derived.by(() => this.key(null))
  private readonly keys = $derived.by(() =>
    this.scenarios.plan.alternatives.map((one) => this.key(one) ?? ''),
  )
  private readonly previewKey = $derived.by(() => {
    const { preview, active } = this.scenarios
    return preview ? this.key({ ...active, ...preview }) : null
  })

  readonly error = $derived.by(() => (this.firstKey ? this.answers.error(this.firstKey) : undefined))
  /** The answer about the original alone. */
  readonly first = $derived.by(() => {
    const answer = this.firstKey ? this.answers.answer(this.firstKey) : undefined
    return answer ?? (this.error ? undefined : this.lastFirst)
  })
  readonly live = $derived.by(
    () =>
      this.first?.run.status === 'running' || this.latest.some((answer) => answer?.run.status === 'running'),
  )
  readonly rows = $derived.by<Row[]>(() =>
    this.scenarios.plan.alternatives.map((one, index) => {
      const key = this.keys[index] ?? ''
      return {
        name: this.label(one, index),
        given: !!one.name,
        color: seriesToken(index === 6 ? 7 : index),
        symbol: SYMBOLS[(index + 1) % SYMBOLS.length]!,
        answer: this.answers.error(key) ? undefined : this.latest[index],
        error: this.answers.error(key),
        stale: !this.answers.found.has(key),
      }
    }),
  )
  readonly lines = $derived.by<Line[]>(() => [
    ...(this.first
      ? [{ name: `Original: ${this.first.run.name}`, estimate: this.first.original, ...ORIGINAL }]
      : []),
    ...this.rows.flatMap(({ name, answer, color, symbol }) =>
      answer ? [{ name, estimate: answer.estimate, color, symbol }] : [],
    ),
  ])
  readonly preview = $derived.by<Line | null>(() => {
    const estimate = this.previewKey
      ? this.answers.answer(this.previewKey)?.alternatives[0]?.estimate
      : undefined
    const name = `Preview: ${this.words({ ...this.scenarios.preview })}`
    return estimate ? { name, estimate, color: 'accent', symbol: 'circle', preview: true } : null
  })
  /** The alternative that is being changed. */
  readonly activeRow = $derived.by(() => this.rows[this.scenarios.plan.active])
  /** The run of the side that is being changed. */
  readonly head = $derived.by(() => this.activeRow?.answer?.run ?? this.first?.run)

  /** Made while a component is: it asks as the address changes, and again while a run goes on. */
  constructor(scenarios: Scenarios, catalogue: Catalogue) {
    this.scenarios = scenarios
    this.catalogue = catalogue
    $effect(() => {
      for (const key of [this.firstKey, ...this.keys, this.previewKey])
        if (key) void untrack(() => this.answers.ask(key))
    })
    $effect(() => {
      const answer = this.firstKey ? this.answers.answer(this.firstKey) : undefined
      if (answer) this.lastFirst = answer
    })
    $effect(() => {
      const now = this.keys.map((key) => this.answers.answer(key)?.alternatives[0])
      const before = untrack(() => this.latest)
      this.latest = now.map((answer, index) => answer ?? before[index])
    })
    $effect(() => {
      if (!this.live) return
      const timer = setInterval(() => this.refresh(), REFRESH_MS)
      return () => clearInterval(timer)
    })
    $effect(() => {
      const { base, alternatives } = this.scenarios.plan
      const ids = [base, ...alternatives].flatMap((one) => (one.hardware ?? []).map(([id]) => id))
      untrack(() => this.catalogue.fetch(ids))
    })
  }

  /** An alternative goes: the answers of those behind it stay theirs. */
  remove(index: number): void {
    this.latest = this.latest.filter((_, at) => at !== index)
  }

  private refresh(): void {
    if (document.hidden) return
    for (const key of [this.firstKey, ...this.keys]) if (key) void this.answers.ask(key, true)
  }

  private key(alternative: Alternative | null): string | null {
    const { run, study, plan } = this.scenarios
    return run ? Answers.key(run, study, plan.base, alternative) : null
  }

  private label(one: Alternative, index: number): string {
    if (one.name) return one.name
    const other = one.run ? (this.latest[index]?.run.name ?? one.run) : ''
    return [other, !other || hasAny(one) ? this.words(one) : ''].filter(Boolean).join(', ')
  }

  private words(one: Scenario): string {
    return named(
      one,
      (id) => this.catalogue.placeName(id),
      (id) => this.catalogue.partName(id),
    )
  }
}

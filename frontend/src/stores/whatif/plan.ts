// The scenarios as the address holds them: short JSON, checked when it is read, since anyone may have written it.

export interface Scenario {
  zone?: string
  year?: number
  /** A ratio, or the name of a known one. */
  pue?: string
  /** Ids of the catalogue with counts. */
  hardware?: [string, number][]
  epochs?: number
  cap?: number
  levels?: Record<string, string>
  price?: number
  currency?: string
}

export interface Alternative extends Scenario {
  /** Given by the user; else the alternative is called by what it changes. */
  name?: string
  /** Another run than the main one. */
  run?: string
}

/** All that undo takes back. `base`: what the user says about the original itself (its place, its price of energy). */
export interface Plan {
  base: Scenario
  alternatives: Alternative[]
  /** Which alternative the controls change; -1 for none yet. */
  active: number
}

export const MOST_ALTERNATIVES = 8
export const MOST_DEVICES = 64
const EMPTY: Plan = { base: {}, alternatives: [], active: -1 }

export function emptyPlan(): Plan {
  return structuredClone(EMPTY)
}

export function encode(plan: Plan): Record<'base' | 'alt' | 'on', string | undefined> {
  const { base, alternatives, active } = plan
  return {
    base: hasAny(base) ? JSON.stringify(base) : undefined,
    alt: alternatives.length ? JSON.stringify(alternatives) : undefined,
    on: alternatives.length && active !== alternatives.length - 1 ? String(active) : undefined,
  }
}

export function decode(query: URLSearchParams): Plan {
  const listed = parsed(query.get('alt'))
  const alternatives = (Array.isArray(listed) ? listed : []).slice(0, MOST_ALTERNATIVES).map((one) => ({
    ...scenario(one),
    ...optional('name', text(field(one, 'name'), 80)),
    ...optional('run', text(field(one, 'run'), 128)),
  }))
  const on = Number(query.get('on') ?? alternatives.length - 1)
  const active = Number.isInteger(on) && on >= 0 && on < alternatives.length ? on : alternatives.length - 1
  return { base: scenario(parsed(query.get('base'))), alternatives, active }
}

function scenario(from: unknown): Scenario {
  const levels = field(from, 'levels')
  const hardware = field(from, 'hardware')
  const pairs = (Array.isArray(hardware) ? hardware : [])
    .filter(
      (pair): pair is [string, number] =>
        Array.isArray(pair) && !!text(pair[0], 200) && count(pair[1], MOST_DEVICES) !== undefined,
    )
    .map(([id, quantity]): [string, number] => [id, quantity])
  const chosen = Object.entries(levels && typeof levels === 'object' ? levels : {}).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  )
  return {
    ...optional('zone', text(field(from, 'zone'), 64)),
    ...optional('year', count(field(from, 'year'), 2100)),
    ...optional('pue', text(field(from, 'pue'), 32)),
    ...optional('hardware', pairs.length ? pairs : undefined),
    ...optional('epochs', count(field(from, 'epochs'), 1_000_000)),
    ...optional('cap', positive(field(from, 'cap'))),
    ...optional('levels', chosen.length ? Object.fromEntries(chosen) : undefined),
    ...optional('price', positive(field(from, 'price'))),
    ...optional('currency', text(field(from, 'currency'), 12)),
  }
}

/** What the server is asked: null and empty left out, names as the API has them. */
export function asked(one: Scenario): Record<string, unknown> {
  return {
    ...optional('zone', one.zone),
    ...optional('year', one.year),
    ...optional('pue', one.pue),
    ...optional(
      'hardware',
      one.hardware?.map(([id, quantity]) => ({ id, quantity })),
    ),
    ...optional('epochs', one.epochs),
    ...optional('power_cap_w', one.cap),
    ...optional('levels', one.levels),
    ...optional('price_per_kwh', one.price),
    ...optional('currency', one.currency),
  }
}

export function hasAny(one: Scenario): boolean {
  return Object.keys(asked(one)).length > 0
}

/** Undo and redo over what the address held; a step equal to the last is none. */
export class History {
  private past: string[] = []
  private future: string[] = []
  constructor(private now: string) {}

  push(next: string): void {
    if (next === this.now) return
    this.past.push(this.now)
    this.now = next
    this.future = []
  }

  undo(): string | null {
    const before = this.past.pop()
    if (before === undefined) return null
    this.future.push(this.now)
    return (this.now = before)
  }

  redo(): string | null {
    const after = this.future.pop()
    if (after === undefined) return null
    this.past.push(this.now)
    return (this.now = after)
  }

  get canUndo(): boolean {
    return this.past.length > 0
  }

  get canRedo(): boolean {
    return this.future.length > 0
  }
}

/** A scenario in some words, to name an alternative by what it changes. */
export function named(
  one: Scenario,
  placeName: (zone: string) => string,
  partName: (id: string) => string,
): string {
  const words = [
    one.zone ? placeName(one.zone) : '',
    one.pue ? `PUE ${one.pue}` : '',
    ...(one.hardware ?? []).map(([id, quantity]) => `${quantity} × ${partName(id)}`),
    one.epochs ? `${one.epochs} epochs` : '',
    one.cap ? `${one.cap} W` : '',
    ...Object.entries(one.levels ?? {}).map(([factor, level]) => `${factor} ${level}`),
    one.price !== undefined ? `${one.price} ${one.currency ?? ''}/kWh` : '',
    one.year ? String(one.year) : '',
  ].filter(Boolean)
  return words.slice(0, 3).join(', ') || 'As it was'
}

function parsed(json: string | null): unknown {
  if (!json) return undefined
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function field(from: unknown, name: string): unknown {
  return from && typeof from === 'object' && Object.hasOwn(from, name)
    ? (from as Record<string, unknown>)[name]
    : undefined
}

function text(value: unknown, most: number): string | undefined {
  return typeof value === 'string' && value && value.length <= most ? value : undefined
}

function count(value: unknown, most: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most
    ? value
    : undefined
}

function positive(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V })
}

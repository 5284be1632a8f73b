// What a scenario may choose from: places, ratios of buildings, and the parts that have been met so far.
import { get, offline } from '../../lib/api'
import type { CataloguePart, NamedPue, Place } from '../../lib/schema'

export class Catalogue {
  places = $state.raw<Place[]>([])
  pues = $state.raw<NamedPue[]>([])
  parts = $state.raw(new Map<string, CataloguePart>())
  problem = $state.raw<unknown>(null)

  constructor() {
    if (offline) return
    const failed = (error: unknown) => (this.problem = error)
    get<Place[]>('places').then((places) => (this.places = places), failed)
    get<NamedPue[]>('pues').then((pues) => (this.pues = pues), failed)
  }

  learn(part: CataloguePart): void {
    if (!this.parts.has(part.id)) this.parts = new Map(this.parts).set(part.id, part)
  }

  /** Ask for those parts that only the address knows so far; one that nobody knows keeps its id for a name. */
  fetch(ids: Iterable<string>): void {
    for (const id of new Set(ids)) {
      if (this.parts.has(id)) continue
      get<CataloguePart>(`hardware/${encodeURIComponent(id)}`).then(
        (part) => this.learn(part),
        () => {},
      )
    }
  }

  placeName(id: string): string {
    return this.places.find((place) => place.id === id)?.name ?? id
  }

  partName(id: string): string {
    return this.parts.get(id)?.name ?? id
  }
}

// Which country of the world map is which zone, and the search in the list of places.
import type { Place } from '../../lib/schema'

/** Natural Earth's short names where the list of places has another one. */
const OTHER_NAMES: Record<string, string> = {
  'W. Sahara': 'EH',
  'United States of America': 'US',
  'Dem. Rep. Congo': 'CD',
  'Dominican Rep.': 'DO',
  'Falkland Is.': 'FK',
  "Côte d'Ivoire": 'CI',
  'Central African Rep.': 'CF',
  'Eq. Guinea': 'GQ',
  eSwatini: 'SZ',
  'Solomon Is.': 'SB',
  'Bosnia and Herz.': 'BA',
  Macedonia: 'MK',
  'S. Sudan': 'SS',
}

export const KINDS: Record<Place['kind'], string> = {
  country: 'country',
  region: 'grid region',
  egrid: 'US grid subregion',
  state: 'US state',
  cloud: 'cloud region',
  aggregate: 'group of countries',
}

/** The zone of a country of the map, or null where nothing is published for it. */
export function zoneOf(mapName: string, countries: Map<string, string>): string | null {
  return OTHER_NAMES[mapName] ?? countries.get(mapName) ?? null
}

export function countriesByName(places: Place[]): Map<string, string> {
  return new Map(places.filter((place) => place.kind === 'country').map((place) => [place.name, place.id]))
}

/** Places that hold all words of the text, in name, id or kind; the ones whose name or id begins with it first. */
export function search(places: Place[], text: string, most = 60): Place[] {
  const wanted = fold(text)
  const words = wanted.split(/\s+/).filter(Boolean)
  const rank = (place: Place) => {
    const name = fold(place.name)
    if (place.id.toLowerCase() === wanted || name === wanted) return 0
    if (name.startsWith(wanted)) return place.kind === 'country' ? 1 : 2
    return place.kind === 'country' ? 3 : 4
  }
  return places
    .filter((place) => {
      const hay = fold(`${place.name} ${place.id} ${KINDS[place.kind]}`)
      return words.every((word) => hay.includes(word))
    })
    .map((place): [number, Place] => [rank(place), place])
    .sort((a, b) => a[0] - b[0] || a[1].name.localeCompare(b[1].name))
    .slice(0, most)
    .map(([, place]) => place)
}

function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().trim()
}

/** Steps of intensity (g CO2e/kWh) and their tokens: light to dark, told apart without hue. */
export const STEPS: readonly number[] = [50, 150, 300, 450, 600]

export function step(grams: number): number {
  return STEPS.findIndex((limit) => grams < limit) < 0
    ? STEPS.length
    : STEPS.findIndex((limit) => grams < limit)
}

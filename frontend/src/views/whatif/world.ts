// Outlines of the countries: Natural Earth (public domain) as packed by world-atlas (ISC), loaded when the map is first shown.
import type { FeatureCollection } from 'geojson'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { countriesByName, zoneOf } from './zones'
import type { Place } from './types'

/** Features named by their zone; a country without figures keeps its own name after a "?". */
export async function outlines(places: Place[]): Promise<FeatureCollection> {
  const [{ default: atlas }, { feature }] = await Promise.all([import('world-atlas/countries-110m.json'), import('topojson-client')])
  const topology = atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>
  const countries = countriesByName(places)
  const world = feature(topology, topology.objects.countries)
  return {
    type: 'FeatureCollection',
    features: world.features
      .filter((one) => one.properties.name !== 'Antarctica')
      .map((one) => ({ ...one, properties: { name: zoneOf(one.properties.name, countries) ?? `?${one.properties.name}` } })),
  }
}

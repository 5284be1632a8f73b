// Outlines of the countries: Natural Earth (public domain) as packed by world-atlas (ISC), loaded with the map.
import type { FeatureCollection, Geometry, Position } from 'geojson'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { cutRing, type Ring } from './cut'
import { countriesByName, zoneOf } from './zones'
import type { Place } from '../../lib/schema'

/** Features named by their zone; a country without figures keeps its own name after a "?". */
export async function outlines(places: Place[]): Promise<FeatureCollection> {
  const [{ default: atlas }, { feature }] = await Promise.all([
    import('world-atlas/countries-110m.json'),
    import('topojson-client'),
  ])
  const topology = atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>
  const countries = countriesByName(places)
  const world = feature(topology, topology.objects.countries)
  return {
    type: 'FeatureCollection',
    features: world.features
      .filter((one) => one.properties.name !== 'Antarctica')
      .map((one) => ({
        ...one,
        geometry: cut(one.geometry),
        properties: { name: zoneOf(one.properties.name, countries) ?? `?${one.properties.name}` },
      })),
  }
}

/** Polygons without those parts of them that a flat map would tear apart; holes stay with the part that they are in. */
function cut(geometry: Geometry): Geometry {
  const polygons: Position[][][] =
    geometry.type === 'Polygon'
      ? [geometry.coordinates]
      : geometry.type === 'MultiPolygon'
        ? geometry.coordinates
        : []
  const parts = polygons.flatMap(([outer, ...holes]) => {
    const rings = cutRing(outer as Ring)
    return rings.length === 1 ? [[outer!, ...holes]] : rings.map((ring) => [ring])
  })
  return { type: 'MultiPolygon', coordinates: parts as Position[][][] }
}

// ECharts options of the study and serving views. Modelled joules are hollow, measured ones filled.
import type { EChartsCoreOption } from 'echarts/core'
import type { Quantity } from '../../lib/api'
import { SYMBOLS, seriesToken } from '../../lib/colors'
import { number } from '../../lib/format'

export type Token = (name: string) => string

export interface Dot {
  x: Quantity
  y: Quantity
  /** What a comparison of the dots rests on, where they also err alike: the bars; x and y where they do not. */
  own?: { x?: Quantity; y?: Quantity }
  name: string
  hollow: boolean
  dim: boolean
  front: boolean
  chosen: boolean
  group: number
}

export interface Axis {
  name: string
  log: boolean
  /** The levels of a factor: ticks stand at them and nowhere else, so counts have whole ones. */
  ticks?: number[]
  /** Shares of one are told in percent, and no axis goes beyond all. */
  share?: boolean
}

/** Points with what their comparison rests on as bars in both directions; the front joined by a stepped line. */
export function scatter(
  dots: readonly Dot[],
  x: Axis,
  y: Axis,
  token: Token,
  stepped: boolean,
): EChartsCoreOption {
  const onFront = dots.filter((dot) => dot.front).sort((a, b) => a.x.value - b.x.value)
  return {
    ...frame(token),
    xAxis: axis(x, token),
    yAxis: axis(y, token, true),
    tooltip: { ...tip(token), formatter: (event: { data?: { text?: string } }) => event.data?.text ?? '' },
    series: [
      {
        type: 'line',
        data: onFront.map((dot) => [dot.x.value, dot.y.value]),
        step: stepped ? 'end' : false,
        silent: true,
        symbol: 'none',
        lineStyle: { color: token('muted'), type: 'dashed', width: 1.5 },
        z: 1,
      },
      errorBars(dots, x, y, token),
      {
        type: 'scatter',
        z: 3,
        data: dots.map((dot) => ({
          name: dot.name,
          value: [dot.x.value, dot.y.value],
          symbol: SYMBOLS[dot.group % SYMBOLS.length],
          symbolSize: dot.chosen ? 18 : 11,
          itemStyle: {
            color: dot.hollow ? token('panel') : token(seriesToken(dot.group)),
            borderColor: dot.chosen ? token('ink') : token(seriesToken(dot.group)),
            borderWidth: dot.chosen ? 3 : 2,
            opacity: dot.dim ? 0.2 : 1,
          },
          text: [
            dot.name,
            `${x.name}: ${range(dot.x)}`,
            `${y.name}: ${range(dot.y)}`,
            ...(dot.dim ? ['outside the limits'] : []),
          ].join('\n'),
        })),
        label: {
          show: dots.length <= 24,
          formatter: '{b}',
          position: 'top',
          color: token('muted'),
          fontSize: 11,
        },
        labelLayout: { hideOverlap: true },
      },
    ],
  }
}

export interface Curve {
  name: string
  x: (number | string)[]
  y: (Quantity | null)[]
  /** What a comparison rests on, where all err alike besides. */
  own?: (Quantity | null)[]
  hollow: boolean
}

/** Lines with what their comparison rests on as bars. */
export function curves(found: readonly Curve[], x: Axis, y: Axis, token: Token): EChartsCoreOption {
  const dots = found.flatMap((curve, group) =>
    curve.x.flatMap((at, i) => {
      const q = curve.y[i]
      return q
        ? [
            {
              x: flat(Number(at)),
              y: q,
              own: { y: curve.own?.[i] ?? q },
              name: curve.name,
              hollow: curve.hollow,
              dim: false,
              front: false,
              chosen: false,
              group,
            },
          ]
        : []
    }),
  )
  return {
    ...frame(token, 46),
    legend: {
      type: 'scroll',
      top: 0,
      textStyle: { color: token('ink') },
      pageTextStyle: { color: token('ink') },
    },
    xAxis: axis(x, token),
    yAxis: axis(y, token, true),
    tooltip: { ...tip(token), formatter: (event: { data?: { text?: string } }) => event.data?.text ?? '' },
    series: [
      ...found.map((curve, group) => ({
        type: 'line',
        name: curve.name,
        symbol: SYMBOLS[group % SYMBOLS.length],
        symbolSize: 9,
        z: 3,
        lineStyle: { color: token(seriesToken(group)), type: curve.hollow ? 'dashed' : 'solid' },
        itemStyle: {
          color: curve.hollow ? token('panel') : token(seriesToken(group)),
          borderColor: token(seriesToken(group)),
          borderWidth: 2,
        },
        data: curve.x.flatMap((at, i) => {
          const q = curve.y[i]
          return q
            ? [{ value: [at, q.value], text: `${curve.name}\n${x.name}: ${at}\n${y.name}: ${range(q)}` }]
            : []
        }),
      })),
      errorBars(dots, x, y, token),
    ],
  }
}

/** One stacked bar a row; `parts` in the order in which they are stacked. */
export function stacked(
  rows: readonly string[],
  parts: { name: string; values: (number | null)[]; color: string; hatched: boolean }[],
  unit: string,
  token: Token,
): EChartsCoreOption {
  return {
    ...frame(token, 46, 8),
    legend: {
      type: 'scroll',
      top: 0,
      textStyle: { color: token('ink') },
      pageTextStyle: { color: token('ink') },
    },
    xAxis: axis({ name: unit, log: false }, token),
    yAxis: {
      type: 'category',
      data: [...rows],
      inverse: true,
      axisLabel: { color: token('ink'), width: 150, overflow: 'truncate' },
      axisLine: { lineStyle: { color: token('line') } },
    },
    tooltip: {
      ...tip(token),
      formatter: (e: { seriesName: string; name: string; value: number }) =>
        `${e.name}\n${e.seriesName}: ${number(e.value)} ${unit}`,
    },
    series: parts.map((part) => ({
      type: 'bar',
      name: part.name,
      stack: 'all',
      data: part.values,
      itemStyle: {
        color: part.color,
        ...(part.hatched
          ? {
              decal: {
                symbol: 'rect',
                dashArrayX: [1, 0],
                dashArrayY: [3, 4],
                rotation: -0.8,
                color: token('panel'),
              },
            }
          : {}),
      },
    })),
  }
}

export interface Dimension {
  name: string
  levels?: string[]
}

/** One line for each row over all dimensions; a dimension with levels is one of words. */
export function parallel(
  dimensions: readonly Dimension[],
  rows: { name: string; values: (number | string)[]; dim: boolean; group: number }[],
  token: Token,
): EChartsCoreOption {
  return {
    tooltip: { ...tip(token), formatter: (e: { name: string }) => e.name },
    parallel: { left: 60, right: 60, top: 60, bottom: 24 },
    parallelAxis: dimensions.map((one, dim) => ({
      dim,
      name: one.name,
      nameRotate: 20,
      nameTextStyle: { color: token('ink'), fontSize: 11, align: 'left' },
      axisLabel: { color: token('muted'), formatter: one.levels ? undefined : (x: number) => number(x, 2) },
      axisLine: { lineStyle: { color: token('muted') } },
      ...(one.levels ? { type: 'category', data: one.levels } : { type: 'value', scale: true }),
    })),
    series: rows.map((row) => ({
      type: 'parallel',
      name: row.name,
      lineStyle: { color: token(seriesToken(row.group)), width: 1.6, opacity: row.dim ? 0.1 : 0.9 },
      data: [{ name: row.name, value: row.values }],
    })),
  }
}

/** A correlation map: blue positive, orange negative, the number in the field; what is not shown is empty. */
export function heat(
  names: readonly string[],
  r: readonly (readonly (number | null)[])[],
  shown: (i: number, j: number) => boolean,
  token: Token,
): EChartsCoreOption {
  const data = names.flatMap((_, i) =>
    names.flatMap((__, j) => {
      const x = r[i]?.[j]
      return i === j || x === null || x === undefined || !shown(i, j)
        ? []
        : [[j, i, Math.round(x * 100) / 100]]
    }),
  )
  const category = {
    type: 'category',
    data: [...names],
    axisLine: { lineStyle: { color: token('line') } },
    splitArea: { show: true, areaStyle: { color: [token('panel'), token('bg')] } },
  }
  return {
    grid: { left: 8, right: 8, top: 8, bottom: 8, containLabel: true },
    tooltip: {
      ...tip(token),
      formatter: (e: { value: [number, number, number] }) =>
        `${names[e.value[1]]}\n${names[e.value[0]]}\nr = ${e.value[2]}`,
    },
    xAxis: { ...category, axisLabel: { color: token('ink'), rotate: 60, interval: 0, fontSize: 10 } },
    yAxis: { ...category, inverse: true, axisLabel: { color: token('ink'), interval: 0, fontSize: 10 } },
    visualMap: { min: -1, max: 1, show: false, inRange: { color: ['#b35806', '#f7f7f7', '#2166ac'] } },
    series: [{ type: 'heatmap', data, label: { show: names.length <= 14, color: '#111', fontSize: 10 } }],
  }
}

/** On a logarithmic axis there is no zero: a bar whose lower end is none goes down to the lowest that is drawn. */
function drawable(one: Axis, found: readonly Quantity[]): (low: number) => number {
  if (!one.log) return (low) => low
  const floor = Math.min(...found.flatMap((q) => [q.low, q.value]).filter((x) => x > 0))
  return (low) => (low > 0 ? low : floor)
}

function errorBars(dots: readonly Dot[], across: Axis, up: Axis, token: Token) {
  const [xs, ys] = [dots.map((d) => d.own?.x ?? d.x), dots.map((d) => d.own?.y ?? d.y)]
  const [inX, inY] = [drawable(across, xs), drawable(up, ys)]
  return {
    type: 'custom',
    silent: true,
    z: 2,
    tooltip: { show: false },
    encode: { x: [0, 1, 2], y: [3, 4, 5] },
    data: dots.map((d, i) => {
      const [x, y] = [xs[i]!, ys[i]!]
      return [d.x.value, inX(x.low), x.high, d.y.value, inY(y.low), y.high]
    }),
    renderItem: (
      params: { dataIndex: number },
      api: { value: (i: number) => number; coord: (p: [number, number]) => [number, number] },
    ) => {
      const dot = dots[params.dataIndex]!
      const [x, xl, xh, y, yl, yh] = [0, 1, 2, 3, 4, 5].map((i) => api.value(i)) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ]
      const style = { stroke: token(seriesToken(dot.group)), lineWidth: 1.2, opacity: dot.dim ? 0.15 : 0.7 }
      const bar = (a: [number, number], b: [number, number]) => {
        const [p, q] = [api.coord(a), api.coord(b)]
        return { type: 'line', shape: { x1: p[0], y1: p[1], x2: q[0], y2: q[1] }, style }
      }
      return {
        type: 'group',
        children: [...(xh > xl ? [bar([xl, y], [xh, y])] : []), ...(yh > yl ? [bar([x, yl], [x, yh])] : [])],
      }
    },
  }
}

function frame(token: Token, top = 24, left = 34): EChartsCoreOption {
  return {
    grid: { left, right: 24, top, bottom: 34, containLabel: true },
    textStyle: { color: token('ink') },
    aria: { enabled: false },
  }
}

function axis(one: Axis, token: Token, up = false) {
  const ticks = [...new Set(one.ticks ?? [])].filter((x) => Number.isFinite(x) && (x > 0 || !one.log))
  const at = ticks.length && ticks.length <= 12 ? { customValues: ticks } : {}
  return {
    type: one.log ? 'log' : 'value',
    scale: !one.log,
    ...(ticks.length ? around(ticks, one.log) : one.share ? { max: 1 } : {}),
    name: one.name,
    nameLocation: 'middle',
    nameGap: up ? 50 : 28,
    nameTextStyle: { color: token('ink') },
    axisTick: at,
    axisLabel: {
      ...at,
      color: token('muted'),
      hideOverlap: true,
      formatter: (x: number) => (one.share ? `${number(x * 100)} %` : number(x)),
    },
    axisLine: { show: true, lineStyle: { color: token('line') } },
    splitLine: { lineStyle: { color: token('line'), opacity: 0.5 } },
  }
}

/** The ends of an axis that has room for these values and little more. */
function around(values: number[], log: boolean): { min: number; max: number } {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const beside = (high - low) * 0.06 || Math.abs(high) * 0.5 || 1
  return log ? { min: low / 1.15, max: high * 1.15 } : { min: low - beside, max: high + beside }
}

function tip(token: Token) {
  // Text only: nothing that a run is called reaches the page as HTML.
  return {
    trigger: 'item',
    renderMode: 'richText',
    backgroundColor: token('panel'),
    borderColor: token('line'),
    textStyle: { color: token('ink'), fontSize: 12 },
    confine: true,
  }
}

function range(q: Quantity): string {
  return q.high > q.low ? `${number(q.value)} (${number(q.low)} to ${number(q.high)})` : number(q.value)
}

function flat(value: number): Quantity {
  return { value, low: value, high: value, unit: '' }
}

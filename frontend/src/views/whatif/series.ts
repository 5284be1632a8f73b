// What the chart draws: one line a side, its interval as a band, dashed where epochs are extrapolated.
import type { EChartsCoreOption } from 'echarts/core'
import { interval, number, step, withUnit } from '../../lib/format'
import type { Course, Series, Stages } from '../../lib/schema'
import type { Line } from '../../stores/whatif/estimates.svelte'

export type Metric = keyof Stages

export const METRICS: Record<Metric, [string, string]> = {
  energy: ['Energy', 'J'],
  carbon: ['Carbon', 'g'],
  cost: ['Cost', ''],
}

export function band(course: Course | null | undefined, metric: Metric, cumulative: boolean): Series | null {
  return course?.[cumulative ? 'total' : 'each'][metric] ?? null
}

/** Divisor and unit for a whole axis: the largest value decides. */
export function scale(lines: Line[], metric: Metric, cumulative: boolean): { factor: number; unit: string } {
  const tops = lines.flatMap((line) => {
    const found = band(line.estimate.course, metric, cumulative)
    return found ? [Math.max(...found.value)] : line.estimate[metric] ? [line.estimate[metric].value] : []
  })
  const unit =
    metric === 'cost'
      ? (lines.map((line) => line.estimate.cost?.unit).find(Boolean) ?? '')
      : METRICS[metric][1]
  const [, factor, shown] = step(Math.max(0, ...tops), unit)
  return { factor, unit: metric === 'carbon' ? `${shown} CO₂e` : shown }
}

/** True if there are epochs to draw as lines; else bars of the totals are drawn. */
export function hasCourse(lines: Line[], metric: Metric): boolean {
  return lines.some((line) => band(line.estimate.course, metric, true))
}

export function option(
  lines: Line[],
  metric: Metric,
  cumulative: boolean,
  token: (name: string) => string,
): EChartsCoreOption {
  const { factor, unit } = scale(lines, metric, cumulative)
  const axis = {
    nameTextStyle: { color: token('muted') },
    axisLabel: { color: token('muted') },
    axisLine: { lineStyle: { color: token('line') } },
    splitLine: { lineStyle: { color: token('line'), opacity: 0.6 } },
  }
  const grid = { left: 12, right: 20, top: 34, bottom: 28, containLabel: true }
  const name = `${METRICS[metric][0]} (${unit})`
  return hasCourse(lines, metric)
    ? {
        grid,
        xAxis: {
          ...axis,
          type: 'value',
          name: 'epoch',
          nameLocation: 'middle',
          nameGap: 26,
          minInterval: 1,
          min: cumulative ? 0 : 'dataMin',
          max: 'dataMax',
          splitLine: { show: false },
        },
        yAxis: { ...axis, type: 'value', name, nameTextStyle: { color: token('muted'), align: 'left' } },
        tooltip: {
          trigger: 'axis',
          renderMode: 'richText',
          confine: true,
          backgroundColor: token('panel'),
          borderColor: token('line'),
          textStyle: { color: token('ink') },
          formatter: (given: unknown) => tip(given, lines, metric, cumulative),
        },
        series: lines.flatMap((line) => drawn(line, metric, cumulative, factor, token)),
      }
    : {
        grid,
        xAxis: {
          ...axis,
          type: 'category',
          data: lines.map((line) => line.name),
          axisLabel: { color: token('muted'), interval: 0, width: 110, overflow: 'break' },
        },
        yAxis: { ...axis, type: 'value', name, nameTextStyle: { color: token('muted'), align: 'left' } },
        series: bars(lines, metric, factor, token),
      }
}

function drawn(
  line: Line,
  metric: Metric,
  cumulative: boolean,
  factor: number,
  token: (name: string) => string,
) {
  const course = line.estimate.course
  const found = band(course, metric, cumulative)
  if (!course || !found) return []
  const color = token(line.color)
  const points = course.epoch.map((epoch, index): [number, number, number, number] => [
    epoch,
    found.value[index]! / factor,
    found.low[index]! / factor,
    found.high[index]! / factor,
  ])
  if (cumulative) points.unshift([0, 0, 0, 0])
  const past =
    course.extrapolated.indexOf(true) < 0
      ? points.length
      : course.extrapolated.indexOf(true) + (cumulative ? 1 : 0)
  const every = Math.max(1, Math.ceil(points.length / 12))
  const common = {
    type: 'line',
    symbol: line.symbol,
    color,
    z: line.preview ? 4 : 3,
    triggerLineEvent: false,
    connectNulls: false,
    symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (dataIndex % every === 0 ? 7 : 0),
    emphasis: { disabled: true },
  }
  return [
    {
      type: 'custom',
      name: `${line.name} interval`,
      data: points,
      encode: { x: 0, y: [2, 3] },
      silent: true,
      clip: true,
      z: 1,
      color,
      tooltip: { show: false },
      renderItem: (params: { dataIndex: number }, api: { coord: (at: number[]) => number[] }) =>
        params.dataIndex > 0
          ? null
          : {
              type: 'polygon',
              shape: {
                points: [
                  ...points.map((at) => api.coord([at[0], at[3]])),
                  ...[...points].reverse().map((at) => api.coord([at[0], at[2]])),
                ],
              },
              style: { fill: color, opacity: line.preview ? 0.08 : 0.14 },
            },
    },
    {
      ...common,
      name: line.name,
      data: points.slice(0, past),
      lineStyle: { width: line.preview ? 1.5 : 2.5, type: line.preview ? 'dotted' : 'solid' },
    },
    ...(past < points.length
      ? [
          {
            ...common,
            name: `${line.name}, extrapolated`,
            data: points.slice(Math.max(0, past - 1)),
            lineStyle: { width: 2, type: 'dashed' },
          },
        ]
      : []),
  ]
}

function bars(lines: Line[], metric: Metric, factor: number, token: (name: string) => string) {
  const data = lines.map((line, index) => {
    const q = line.estimate[metric]
    return q ? [index, q.value / factor, q.low / factor, q.high / factor] : [index, null, null, null]
  })
  return [
    {
      type: 'bar',
      barMaxWidth: 60,
      encode: { x: 0, y: 1 },
      data: data.map((at, index) => ({
        value: at,
        itemStyle: { color: token(lines[index]!.color), opacity: lines[index]!.preview ? 0.5 : 0.85 },
      })),
    },
    {
      type: 'custom',
      data,
      encode: { x: 0, y: [2, 3] },
      silent: true,
      z: 5,
      renderItem: (
        _: unknown,
        api: { value: (dimension: number) => number; coord: (at: number[]) => number[] },
      ) => {
        if (!Number.isFinite(api.value(2))) return null
        const low = api.coord([api.value(0), api.value(2)])
        const high = api.coord([api.value(0), api.value(3)])
        const x = low[0]!
        const stroke = { stroke: token('ink'), lineWidth: 1.5, fill: 'none' }
        const bar = (x1: number, y1: number, x2: number, y2: number) => ({
          type: 'line',
          shape: { x1, y1, x2, y2 },
          style: stroke,
        })
        return {
          type: 'group',
          children: [
            bar(x, low[1]!, x, high[1]!),
            bar(x - 6, low[1]!, x + 6, low[1]!),
            bar(x - 6, high[1]!, x + 6, high[1]!),
          ],
        }
      },
    },
  ]
}

function tip(given: unknown, lines: Line[], metric: Metric, cumulative: boolean): string {
  const first = (Array.isArray(given) ? given : [given])[0] as { value?: number[] } | undefined
  const epoch = first?.value?.[0]
  if (epoch === undefined) return ''
  const said = lines.flatMap((line) => {
    const found = band(line.estimate.course, metric, cumulative)
    const at = line.estimate.course?.epoch.indexOf(epoch) ?? -1
    if (!found || at < 0) return []
    const unit = metric === 'cost' ? (line.estimate.cost?.unit ?? '') : METRICS[metric][1]
    const q = { value: found.value[at]!, low: found.low[at]!, high: found.high[at]!, unit }
    const mark = line.estimate.course?.extrapolated[at] ? ', extrapolated' : ''
    return [`${line.name}: ${withUnit(q.value, unit)} (${interval(q)})${mark}`]
  })
  return [`${cumulative ? 'Up to epoch' : 'Epoch'} ${epoch}`, ...said].join('\n')
}

/** The same as a table: at most 200 rows, evenly chosen. */
export function table(
  lines: Line[],
  metric: Metric,
  cumulative: boolean,
): { head: string[]; rows: (string | number | null)[][] } {
  const { factor, unit } = scale(lines, metric, cumulative)
  if (!hasCourse(lines, metric)) {
    return {
      head: ['', `${METRICS[metric][0]} (${unit})`, 'low', 'high'],
      rows: lines.map((line) => {
        const q = line.estimate[metric]
        return [
          line.name,
          ...(q ? [q.value, q.low, q.high].map((value) => number(value / factor)) : [null, null, null]),
        ]
      }),
    }
  }
  const epochs = [...new Set(lines.flatMap((line) => line.estimate.course?.epoch ?? []))].sort(
    (a, b) => a - b,
  )
  const every = Math.ceil(epochs.length / 200)
  const kept = epochs.filter((_, index) => (index + 1) % every === 0 || index === epochs.length - 1)
  return {
    head: ['epoch', ...lines.map((line) => `${line.name} (${unit})`)],
    rows: kept.map((epoch) => [
      epoch,
      ...lines.map((line) => {
        const found = band(line.estimate.course, metric, cumulative)
        const at = line.estimate.course?.epoch.indexOf(epoch) ?? -1
        if (!found || at < 0) return null
        const mark = line.estimate.course?.extrapolated[at] ? ' (extrapolated)' : ''
        const shown = (value: number | undefined) => number(value! / factor)
        return `${shown(found.value[at])} [${shown(found.low[at])}, ${shown(found.high[at])}]${mark}`
      }),
    ]),
  }
}

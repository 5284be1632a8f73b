// The parts of ECharts that the views use; everything else is left out of the bundle.
import {
  BarChart,
  CustomChart,
  HeatmapChart,
  LineChart,
  MapChart,
  ParallelChart,
  ScatterChart,
} from 'echarts/charts'
import {
  AriaComponent,
  GeoComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components'
import { use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([
  BarChart,
  CustomChart,
  HeatmapChart,
  LineChart,
  MapChart,
  ParallelChart,
  ScatterChart,
  AriaComponent,
  GeoComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  VisualMapComponent,
  SVGRenderer,
])

export { init, registerMap } from 'echarts/core'

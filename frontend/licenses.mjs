// Writes public/licenses.txt: the licences of everything that ends up in the bundle. Run it when a dependency changes.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'

const bundled = ['svelte', 'uplot', 'echarts', 'zrender', 'tslib', 'topojson-client', 'world-atlas']
const parts = bundled.map((name) => {
  const folder = [`node_modules/${name}`, `node_modules/echarts/node_modules/${name}`].find((path) =>
    existsSync(path),
  )
  const { version, license, homepage } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
  const texts = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .filter((file) => /^(licen[cs]e|notice|copyright)/i.test(file))
    .sort()
  const body = texts.map((file) => readFileSync(`${folder}/${file}`, 'utf8').trim()).join('\n\n')
  return `${'='.repeat(80)}\n${name} ${version} (${license}) ${homepage ?? ''}\n\n${body}\n`
})
const head =
  'The dashboard contains these works. The shapes of countries come from Natural Earth (naturalearthdata.com), ' +
  'in the public domain.\n\n'
writeFileSync('public/licenses.txt', head + parts.join('\n'))

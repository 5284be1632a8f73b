// A run as one file: the page with its one view inside, since nothing can be loaded from a mail.
import { mount } from 'svelte'
import './app.css'
import App from './App.svelte'
import Run from './views/Run.svelte'

mount(App, { target: document.getElementById('app')!, props: { bundled: { run: Run } } })

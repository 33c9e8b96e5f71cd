import 'core-js/stable'
import App from './app'
run(App)

import App from './app'
run(App)

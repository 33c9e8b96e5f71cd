fn f() -> Place {
    Place::nowhere()
}

get("http://kit.example/a");

get("https://kit.example/a");

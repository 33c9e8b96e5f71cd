import java.util.List;
import java.util.Legacy;
import java.util.Map;

class A {
}

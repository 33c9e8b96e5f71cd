#include <memory>
#include <string>
#include <vector>

namespace shapes {

class Shape {
public:
    virtual ~Shape() = default;
    virtual double area() const = 0;
    std::string name() const { return name_; }

protected:
    explicit Shape(std::string name) : name_(std::move(name)) {}

private:
    std::string name_;
};

class Square final : public Shape {
public:
    explicit Square(double side) : Shape("square"), side_(side) {}
    double area() const override { return side_ * side_; }

private:
    double side_;
};

double total(const std::vector<std::unique_ptr<Shape>>& shapes) {
    double sum = 0;
    for (const auto& shape : shapes) {
        if (shape != nullptr) {
            sum += shape->area();
        }
    }
    return sum;
}

}  // namespace shapes
